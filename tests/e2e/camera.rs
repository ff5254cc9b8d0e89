//! The camera.

use coconet::control::TunnelState;
use serde_json::Value;

use crate::support::net::Net;
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::camera;

/// Pictures that two seconds of the camera's 25 a second have at least, however they are counted.
const PICTURES_MIN: u64 = 25;

#[test]
fn ffprobe_reads_h264_from_a_camera() {
    let net = Net::new();
    let (exporter, viewer) = net.pair();
    let (_camera, target) = camera(&net.lab);
    exporter.expose(&target, "front-door");
    let url = viewer.open("front-door");
    assert!(url.starts_with("rtsp://127.0.0.1:") && url.ends_with("/camera"), "{url}");
    assert_ne!(url, target);

    let mut ffprobe = command(theirs("ffprobe"));
    ffprobe.args(["-v", "error", "-rtsp_transport", "tcp", "-select_streams", "v", "-of", "json"]);
    ffprobe.args(["-read_intervals", "%+2", "-count_frames"]);
    ffprobe.args(["-show_entries", "stream=codec_name,width,height,nb_read_frames", &url]);
    let told: Value = serde_json::from_str(&run_well(&mut ffprobe)).unwrap();

    let video = &told["streams"][0];
    assert_eq!(video["codec_name"], "h264", "{told}");
    assert_eq!((&video["width"], &video["height"]), (&640.into(), &360.into()), "{told}");
    let pictures: u64 = video["nb_read_frames"].as_str().unwrap().parse().unwrap();
    assert!(pictures >= PICTURES_MIN, "{told}");
    assert_eq!(viewer.tunnel("front-door").state, TunnelState::Open);
}
