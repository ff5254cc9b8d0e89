//! `tunnel expose --discover`.

use serde_json::{Value, json};

use crate::daemon::{Asked, Daemon, Ended};

fn found() -> Value {
    json!({"version": 1, "cameras": [
        {
            "address": "192.168.1.20:80", "name": "Front \u{1b}[31mDoor", "hardware": "XC-1",
            "suggested": "front-door", "reason": null,
            "streams": [{
                "profile": "main", "codec": "H264", "size": "1920x1080", "frame_rate": 25,
                "url": "rtsp://192.168.1.20:554/live?a=1&b=$(reboot)",
            }],
        },
        {
            "address": "192.168.1.21:80", "name": null, "hardware": null, "suggested": "camera",
            "streams": [], "reason": "it wants a login",
        },
    ]})
}

#[test]
fn cameras_are_a_table_and_the_next_command_is_safe_to_paste() {
    let daemon = Daemon::saying(200, &found());
    let Ended { code, out, err } = daemon.run(&["tunnel", "expose", "--discover"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    let [heading, stream, reason] = lines.as_slice() else { panic!("{out}") };
    assert!(heading.starts_with("CAMERA") && heading.ends_with("URL"), "{heading}");
    assert!(stream.ends_with("rtsp://192.168.1.20:554/live?a=1&b=$(reboot)"), "{stream}");
    assert!(stream.contains("1920x1080") && !stream.contains('\u{1b}'), "{stream}");
    assert_eq!(*reason, "192.168.1.21:80: it wants a login");
    let next = "tunnel expose 'rtsp://192.168.1.20:554/live?a=1&b=$(reboot)' --name front-door\n";
    assert!(err.starts_with("hint: ") && err.ends_with(next), "{err}");
    assert_eq!(daemon.asked(), [Asked { line: "POST /v1/cameras".to_owned(), body: json!({}) }]);
}

#[test]
fn for_scripts_the_answer_is_the_daemons() {
    let Ended { code, out, .. } =
        Daemon::saying(200, &found()).run(&["--json", "tunnel", "expose", "--discover"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (0, found()));
}

#[test]
fn no_camera_is_no_failure() {
    let daemon = Daemon::saying(200, &json!({"version": 1, "cameras": []}));
    let Ended { code, out, err } = daemon.run(&["tunnel", "expose", "--discover"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "no camera has answered\n"));
}
