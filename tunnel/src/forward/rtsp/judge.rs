//! What a request needs the right for.
//!
//! The exporter judges every request by the capabilities that the ledger gives the viewer, and every packet
//! that the viewer sends: only who may record or talk may send media, whatever its requests said before.
//! So a track that a player sets up by guessing its URL takes no sound.

use std::collections::BTreeSet;

use super::message::Message;
use super::transport;
use super::urls;

/// Asked for in `Require` by who wants to talk.
pub const BACKCHANNEL: &str = "www.onvif.org/ver20/backchannel";

/// Bytes of an RTP header: a packet that is no longer carries nothing.
const RTP_HEADER: usize = 12;

/// Most tracks of one description that are remembered as ways to talk.
const TALKING_MAX: usize = 64;

/// What is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Any right to the resource: it shows nothing and changes nothing.
    Any,
    /// `play`.
    Play,
    /// `record`.
    Record,
    /// `talk`.
    Talk,
    /// Every right: it may change the camera, or is not known here.
    All,
}

/// The tracks of the descriptions seen so far that a player sends to.
#[derive(Debug, Default)]
pub struct Tracks(BTreeSet<String>);

impl Tracks {
    /// Remember those of a description, which stood at `base`.
    pub fn learn(&mut self, base: &str, body: &[u8]) {
        self.0.extend(talking(base, body).into_iter().take(TALKING_MAX.saturating_sub(self.0.len())));
    }

    /// What a request needs.
    pub fn need(&self, request: &Message) -> Need {
        if request.lists("Require", BACKCHANNEL) || request.lists("Proxy-Require", BACKCHANNEL) {
            return Need::Talk;
        }
        match request.method().unwrap_or_default() {
            "OPTIONS" | "TEARDOWN" => Need::Any,
            // With a body it sets something.
            "SET_PARAMETER" if !request.body().is_empty() => Need::All,
            "GET_PARAMETER" | "SET_PARAMETER" => Need::Any,
            "DESCRIBE" | "PLAY" | "PAUSE" => Need::Play,
            "ANNOUNCE" | "RECORD" => Need::Record,
            "SETUP" => {
                let offers = request.headers("Transport").flat_map(|value| transport::parse(&value)).collect::<Vec<_>>();
                if offers.iter().any(|offer| offer.record) {
                    Need::Record
                } else if request.uri().is_some_and(|uri| self.0.contains(urls::path(uri))) {
                    Need::Talk
                } else {
                    Need::Play
                }
            }
            _ => Need::All,
        }
    }
}

/// Whether a packet of a player carries no media: what opens a NAT, or a bare header.
pub fn is_latch(packet: &[u8]) -> bool {
    packet.len() <= RTP_HEADER || packet[0] >> 6 != 2
}

/// The paths of the tracks that a player sends to: `a=sendonly`, as seen by the player.
fn talking(base: &str, body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let mut found = Vec::new();
    for section in text.split("\nm=").skip(1) {
        let lines = || section.lines().map(str::trim);
        let sends = lines().any(|line| line.eq_ignore_ascii_case("a=sendonly"));
        let control = lines().find_map(|line| {
            let (name, url) = line.split_once(':')?;
            name.eq_ignore_ascii_case("a=control").then_some(url)
        });
        if let (true, Some(control)) = (sends, control) {
            found.push(urls::path(&urls::resolve(base, control.trim())).to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::message::{Item, Reader};
    use super::*;

    const DESCRIPTION: &[u8] = b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=recvonly\r\na=control:track1\r\n\
        m=audio 0 RTP/AVP 0\r\na=control:track5\r\na=sendonly\r\n";

    fn request(text: &str) -> Message {
        let mut reader = Reader::default();
        reader.push(text.replace('\n', "\r\n").as_bytes());
        match reader.next().unwrap().unwrap() {
            Item::Message(message) => message,
            Item::Frame { .. } => panic!("no message"),
        }
    }

    fn need(text: &str) -> Need {
        let mut tracks = Tracks::default();
        tracks.learn("rtsp://cam/s/", DESCRIPTION);
        tracks.need(&request(text))
    }

    #[test]
    fn each_method_needs_its_right() {
        for (text, needed) in [
            ("OPTIONS * RTSP/1.0\n\n", Need::Any),
            ("DESCRIBE rtsp://h/s RTSP/1.0\n\n", Need::Play),
            ("SETUP rtsp://h/s/track1 RTSP/1.0\nTransport: RTP/AVP;client_port=1-2\n\n", Need::Play),
            ("PLAY rtsp://h/s RTSP/1.0\n\n", Need::Play),
            ("PAUSE rtsp://h/s RTSP/1.0\n\n", Need::Play),
            ("GET_PARAMETER rtsp://h/s RTSP/1.0\n\n", Need::Any),
            ("SET_PARAMETER rtsp://h/s RTSP/1.0\n\n", Need::Any),
            ("SET_PARAMETER rtsp://h/s RTSP/1.0\nContent-Length: 1\n\nx", Need::All),
            ("TEARDOWN rtsp://h/s RTSP/1.0\n\n", Need::Any),
            ("ANNOUNCE rtsp://h/s RTSP/1.0\n\n", Need::Record),
            ("RECORD rtsp://h/s RTSP/1.0\n\n", Need::Record),
            ("REDIRECT rtsp://h/s RTSP/1.0\n\n", Need::All),
            // Methods are case-sensitive, and who knows what a camera makes of this one.
            ("record rtsp://h/s RTSP/1.0\n\n", Need::All),
        ] {
            assert_eq!(need(text), needed, "{text}");
        }
    }

    #[test]
    fn recording_is_told_by_any_alternative() {
        let setup = "SETUP rtsp://h/s/track1 RTSP/1.0\nTransport: RTP/AVP;client_port=1-2,RTP/AVP/TCP;mode=record\n\n";
        assert_eq!(need(setup), Need::Record);
        let two = "SETUP rtsp://h/s/track1 RTSP/1.0\nTransport: RTP/AVP;client_port=1-2\nTransport: RTP/AVP;mode=record\n\n";
        assert_eq!(need(two), Need::Record);
    }

    #[test]
    fn talking_is_told_by_what_is_required_and_by_the_track() {
        let described = "DESCRIBE rtsp://h/s RTSP/1.0\nRequire: a, www.ONVIF.org/ver20/backchannel\n\n";
        assert_eq!(need(described), Need::Talk);
        for uri in ["rtsp://h/s/track5", "rtsp://other:1/s/track5"] {
            assert_eq!(need(&format!("SETUP {uri} RTSP/1.0\nTransport: RTP/AVP;client_port=1-2\n\n")), Need::Talk);
        }
    }

    #[test]
    fn a_packet_without_media_may_pass_and_no_other() {
        for packet in [&b""[..], b"\xce\xfa\xed\xfe", &[0; 200], &[0x80; 12]] {
            assert!(is_latch(packet));
        }
        assert!(!is_latch(&[0x80; 13]) && !is_latch(&[0xbf; 200]));
    }
}
