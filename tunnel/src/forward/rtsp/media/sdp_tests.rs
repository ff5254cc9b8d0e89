use proptest::prelude::*;

use super::*;

fn only(lines: &str) -> Track {
    let mut found = describe(format!("v=0\n{lines}").as_bytes()).tracks;
    assert_eq!(found.len(), 1, "{lines}");
    found.remove(0)
}

fn size(width: u16, height: u16) -> Option<Size> {
    Some(Size { width, height })
}

const HIKVISION: &str = "v=0\r
o=- 1109162014219182 1109162014219192 IN IP4 192.0.2.64\r
s=Media Presentation\r
c=IN IP4 0.0.0.0\r
t=0 0\r
a=control:rtsp://192.0.2.64:554/Streaming/Channels/101/\r
m=video 0 RTP/AVP 96\r
b=AS:5000\r
a=control:rtsp://192.0.2.64:554/Streaming/Channels/101/trackID=1\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z2QAFqzZQKAv6mwEQAAAAwBAAAAHg8WLZYA=,aOvjyyLA\r
a=framerate:25.000000\r
m=audio 0 RTP/AVP 8\r
a=control:rtsp://192.0.2.64:554/Streaming/Channels/101/trackID=2\r
a=recvonly\r
m=audio 0 RTP/AVP 0\r
a=control:trackID=3\r
a=sendonly\r
m=application 0 RTP/AVP 107\r
a=rtpmap:107 vnd.onvif.metadata/90000\r
";

#[test]
fn a_camera_with_picture_sound_loudspeaker_and_metadata_is_read() {
    let found = describe(HIKVISION.as_bytes());
    assert_eq!(found.control.as_deref(), Some("rtsp://192.0.2.64:554/Streaming/Channels/101/"));
    let [video, sound, speaker, metadata] = &found.tracks[..] else { panic!("{found:?}") };
    assert_eq!(
        *video,
        Track {
            control: Some("rtsp://192.0.2.64:554/Streaming/Channels/101/trackID=1".to_owned()),
            media: "video".to_owned(),
            talk: false,
            payload: Some(96),
            codec: Some("H264".to_owned()),
            clock: Some(90_000),
            size: size(638, 358),
            rate: Some(25.0),
        }
    );
    assert_eq!((sound.codec.as_deref(), sound.clock, sound.talk), (Some("PCMA"), Some(8000), false));
    assert_eq!((speaker.control.as_deref(), speaker.talk), (Some("trackID=3"), true));
    assert_eq!(metadata.codec.as_deref(), Some("vnd.onvif.metadata"));
}

#[test]
fn sizes_in_attributes_are_taken_where_the_codec_says_none() {
    let h264 = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
    for (attribute, expected) in [
        ("a=framesize:96 640-480", size(640, 480)),
        ("a=framesize:97 640-480", None),
        ("a=x-dimensions:704,576", size(704, 576)),
        ("a=x-dimensions: 704, 576", size(704, 576)),
        ("a=cliprect:0,0,480,640", size(640, 480)),
        ("a=x-dimensions:70400,576", None),
        ("a=x-dimensions:0,576", None),
        ("a=cliprect:480,640,0,0", None),
        ("a=fmtp:96 sprop-parameter-sets=Z0LAFtkAoC/5cBEAAAMAAQAAAwAeDxYuSA", size(640, 360)),
        ("a=fmtp:96 sprop-parameter-sets=\"Z0LAFtkAoC/5cBEAAAMAAQAAAwAeDxYuSA==\"", size(640, 360)),
        ("a=fmtp:96 sprop-parameter-sets=Z0LA!", None),
        (
            "a=fmtp:96 sprop-parameter-sets=Z0LAFtkAoC/5cBEAAAMAAQAAAwAeDxYuSA\na=x-dimensions:1,1",
            size(640, 360),
        ),
        (
            "a=x-dimensions:1,1\na=fmtp:96 sprop-parameter-sets=Z0LAFtkAoC/5cBEAAAMAAQAAAwAeDxYuSA",
            size(640, 360),
        ),
    ] {
        assert_eq!(only(&format!("{h264}{attribute}")).size, expected, "{attribute}");
    }
    let sps = "QgEBAWAAAAMAkAAAAwAAAwA8oAoIDxZZWaSTK8BaAgAAAwACAAADAB4Q";
    let h265 = format!("m=video 0 RTP/AVP 98\na=fmtp:98 sprop-vps=QAEM; sprop-sps={sps}; sprop-pps=RAHB");
    assert_eq!(only(&h265).size, size(320, 240));
}

#[test]
fn frame_rates_are_numbers_of_pictures() {
    for (said, rate) in [("25", Some(25.0)), (" 29.97 ", Some(29.97)), ("30000/1000", Some(30.0))] {
        assert_eq!(only(&format!("m=video 0 RTP/AVP 96\na=framerate:{said}")).rate, rate, "{said}");
    }
    for said in ["0", "-1", "NaN", "inf", "1/0", "", "many"] {
        assert_eq!(only(&format!("m=video 0 RTP/AVP 96\na=framerate:{said}")).rate, None, "{said}");
    }
}

#[test]
fn the_first_payload_type_is_the_one_that_counts() {
    let track = only("m=video 5000/2 RTP/AVP 96 97\na=rtpmap:97 JPEG/90000\na=rtpmap:96 H265/90000");
    assert_eq!((track.payload, track.codec.as_deref()), (Some(96), Some("H265")));
    let track = only("m=video\na=rtpmap:200 VP8/90000\na=rtpmap:97 JPEG/90000");
    assert_eq!((track.payload, track.codec.as_deref()), (Some(97), Some("JPEG")));
    assert_eq!(only("m=audio 0 RTP/AVP 97\na=rtpmap:97 L16/0").clock, None);
}

#[test]
fn what_cannot_be_read_is_left_out_and_what_is_read_is_bounded() {
    let long = "x".repeat(FIELD_MAX + 1);
    let track = only(&format!("m=video 0 RTP/AVP 96\na=control:{long}\na=rtpmap:96 {long}/1\nrubbish\n=\na"));
    assert_eq!((track.control, track.codec), (None, None));
    let track = only(&format!("m=video 0 RTP/AVP 96\na=control:ok\n{}", "y".repeat(LINE_MAX)));
    assert_eq!(track.control.as_deref(), Some("ok"));
    assert_eq!(describe("m=video\n".repeat(100).as_bytes()).tracks.len(), TRACKS_MAX);
    let late = format!("{}m=video\n", "a=x\n".repeat(DESCRIPTION_MAX / 4));
    assert_eq!(describe(late.as_bytes()).tracks, []);
    assert_eq!(describe(b"m=video\n\xff\xfe\nm=audio\n").tracks.len(), 2);
}

proptest! {
    #[test]
    fn any_description_is_read_without_harm(text in "((m=video |a=|rtpmap:|96 |fmtp:|sprop-parameter-sets=|Z[0-9A-Za-z+/]{1,30}|framesize:|framerate:|.|\n){0,40})") {
        for track in describe(text.as_bytes()).tracks {
            prop_assert!(track.media.len() <= FIELD_MAX);
        }
    }
}
