#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::super::message::{Item, Reader};
use super::*;

fn rename() -> Rename {
    let names =
        vec![("192.168.1.20".to_owned(), 554), ("cam.lan".to_owned(), 554), ("fd00::20".to_owned(), 554)];
    Rename::new(names, "127.0.0.1:8554".to_owned())
}

fn message(headers: &str, body: &str) -> Message {
    let mut reader = Reader::default();
    reader
        .push(format!("RTSP/1.0 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    match reader.next().unwrap().unwrap() {
        Item::Message(message) => message,
        Item::Frame { .. } => panic!("no message"),
    }
}

#[test]
fn only_urls_that_name_the_camera_change() {
    for (url, renamed) in [
        ("rtsp://192.168.1.20/s", Some("rtsp://127.0.0.1:8554/s")),
        ("rtsp://192.168.1.20:554/s?a=b", Some("rtsp://127.0.0.1:8554/s?a=b")),
        ("RTSP://CAM.LAN:554", Some("RTSP://127.0.0.1:8554")),
        ("rtsp://cam.lan?channel=1", Some("rtsp://127.0.0.1:8554?channel=1")),
        ("rtsp://[FD00::20]:554/s", Some("rtsp://127.0.0.1:8554/s")),
        ("rtsp://admin:pass@192.168.1.20/s", Some("rtsp://127.0.0.1:8554/s")),
        ("rtsp://admin:p@ss@192.168.1.20/s", Some("rtsp://127.0.0.1:8554/s")),
        ("rtsp://192.168.1.20:8080/s", None),
        ("rtsp://192.168.1.20:554x/s", None),
        ("rtsp://192.168.1.200/s", None),
        ("rtsp://192.168.1.20.example.org/s", None),
        ("rtsp://192.168.1.20@evil.example/s", None),
        ("rtsp://other/192.168.1.20/", None),
        ("http://192.168.1.20/s", None),
        ("track1", None),
        ("/track1", None),
        ("", None),
    ] {
        assert_eq!(rename().url(url).as_deref(), renamed, "{url}");
    }
}

#[test]
fn rtp_info_changes_absolute_relative_and_without_a_scheme() {
    for (value, renamed) in [
        (
            "url=rtsp://192.168.1.20:554/s/t1;seq=1;rtptime=2,url=rtsp://cam.lan/s/t2;seq=3",
            "url=rtsp://127.0.0.1:8554/s/t1;seq=1;rtptime=2,url=rtsp://127.0.0.1:8554/s/t2;seq=3",
        ),
        ("url=192.168.1.20:554/s/t1;seq=1", "url=127.0.0.1:8554/s/t1;seq=1"),
        ("url=192.168.1.20/s/t1;seq=1", "url=127.0.0.1:8554/s/t1;seq=1"),
        ("url=trackID=1;seq=1, url=/s/t2", "url=trackID=1;seq=1, url=/s/t2"),
        ("url=rtsp://elsewhere/s;seq=1", "url=rtsp://elsewhere/s;seq=1"),
    ] {
        let mut answer = message(&format!("RTP-Info: {value}\r\n"), "");
        rename().message(&mut answer);
        assert_eq!(answer.header("RTP-Info").unwrap(), renamed);
    }
}

#[test]
fn a_description_gets_the_listeners_controls_and_its_length() {
    let mut answer = message(
        "Content-Type: application/sdp\r\nContent-Base: rtsp://192.168.1.20/s/\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.168.1.20\r\ns=see rtsp://192.168.1.20/\r\nc=IN IP4 192.168.1.20\r\n\
         a=control:rtsp://192.168.1.20:554/s/\r\nm=video 0 RTP/AVP 96\r\na=rtcp:5001 IN IP4 192.168.1.20\r\n\
         a=source-filter: incl IN IP4 * 192.168.1.20\r\na=control:trackID=1\r\n",
    );
    rename().message(&mut answer);
    harmless(&mut answer);
    assert_eq!(answer.header("Content-Base").unwrap(), "rtsp://127.0.0.1:8554/s/");
    let body = std::str::from_utf8(answer.body()).unwrap();
    assert_eq!(
        body,
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=see rtsp://192.168.1.20/\r\nc=IN IP4 0.0.0.0\r\n\
         a=control:rtsp://127.0.0.1:8554/s/\r\nm=video 0 RTP/AVP 96\r\na=rtcp:5001 IN IP4 0.0.0.0\r\n\
         a=control:trackID=1\r\n"
    );
    assert_eq!(answer.header("Content-Length").unwrap(), body.len().to_string());
    let again = answer.clone();
    harmless(&mut answer);
    assert_eq!(answer, again);
}

#[test]
fn descriptions_are_harmless_in_every_spelling() {
    for (line, harmless) in [
        ("c=IN IP4 239.1.1.1/127\r\n", Some("c=IN IP4 0.0.0.0\r\n")),
        ("c=IN IP6 ff15::1\n", Some("c=IN IP6 ::\n")),
        ("C=in ip4 1.2.3.4", Some("C=in ip4 0.0.0.0")),
        ("o=a b c IN IP4 host.example\r\n", Some("o=a b c IN IP4 0.0.0.0\r\n")),
        ("a=rtcp:5001\r\n", None),
        ("a=control:c=IN IP4 1.2.3.4\r\n", None),
        ("s=c=IN IP4 1.2.3.4\r\n", None),
        ("c=\r\n", None),
    ] {
        assert_eq!(harmless_line(line).as_deref(), harmless);
    }
}

#[test]
fn what_is_no_description_keeps_its_body() {
    let body = "c=IN IP4 1.2.3.4\r\na=control:rtsp://192.168.1.20/\r\n";
    let mut answer = message("Content-Type: text/parameters\r\n", body);
    let before = answer.clone();
    rename().message(&mut answer);
    harmless(&mut answer);
    assert_eq!(answer, before);
    // One that forgets to say what it is says it in its first line.
    assert!(is_description(&message("", "v=0\r\n")) && !is_description(&message("", "x")));
}

#[test]
fn controls_resolve_the_way_players_do_it() {
    for (base, control, url) in [
        ("rtsp://h/s/", "track1", "rtsp://h/s/track1"),
        ("rtsp://h/s", "track1", "rtsp://h/s/track1"),
        ("rtsp://h/s?channel=1", "trackID=1", "rtsp://h/s?channel=1/trackID=1"),
        ("rtsp://h/s/", "*", "rtsp://h/s/"),
        ("rtsp://h/s/", "", "rtsp://h/s/"),
        ("rtsp://h:1/s/", "/other/track1", "rtsp://h:1/other/track1"),
        ("rtsp://h/s/", "rtsp://g/t", "rtsp://g/t"),
    ] {
        assert_eq!(resolve(base, control), url);
    }
}

#[test]
fn the_parts_of_a_url_are_told() {
    assert_eq!(authority("rtsp://u:p@[::1]:8554/s"), Some("[::1]:8554"));
    assert_eq!(authority("rtsp://front-door.home.coco"), Some("front-door.home.coco"));
    assert_eq!((authority("*"), authority("/s"), authority("ftp://h/")), (None, None, None));
    assert_eq!((path("rtsp://h"), path("rtsp://h/a?b"), path("rtsp://h?b")), ("/", "/a?b", "?b"));
    assert_eq!((spell("::1", 554), spell("h", 8554)), ("[::1]".to_owned(), "h:8554".to_owned()));
}
