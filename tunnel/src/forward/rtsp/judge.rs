//! What a request needs the right for.
//!
//! The exporter judges every request by the capabilities that the ledger gives the viewer, and every packet
//! that the viewer sends: only who may record or talk may send media, whatever its requests said before.
//! So a track that a player sets up by guessing its URL takes no sound.

use std::collections::BTreeSet;

use coconet::rights::Rights;

use super::media::Description;
use super::message::Message;
use super::transport;
use super::urls;

/// Asked for in `Require` by who wants to talk.
pub const BACKCHANNEL: &str = "www.onvif.org/ver20/backchannel";

/// Bytes of an RTP header: a packet that is no longer carries nothing.
const RTP_HEADER: usize = 12;

/// Most URLs that are learnt from what a camera says on one connection.
const LEARNT_MAX: usize = 64;

/// What is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Any right to the resource: it shows nothing and changes nothing.
    Any,
    /// `play` or `talk`: it starts only what was set up, or shows what there is.
    PlayOrTalk,
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
    pub fn learn(&mut self, base: &str, description: &Description) {
        let talking = description.tracks.iter().filter(|track| track.talk);
        let paths = talking
            .filter_map(|track| track.control.as_ref())
            .map(|control| urls::path(&urls::resolve(base, control)).to_owned());
        self.0.extend(paths.take(LEARNT_MAX.saturating_sub(self.0.len())));
    }

    /// What a request needs: all of it.
    pub fn needs(&self, request: &Message) -> [Need; 2] {
        let talks = ["Require", "Proxy-Require"].iter().any(|name| request.lists(name, BACKCHANNEL));
        [self.method_needs(request), if talks { Need::Talk } else { Need::Any }]
    }

    fn method_needs(&self, request: &Message) -> Need {
        match request.method().unwrap_or_default() {
            "OPTIONS" | "TEARDOWN" => Need::Any,
            // With a body it sets something.
            "SET_PARAMETER" if !request.body().is_empty() => Need::All,
            "GET_PARAMETER" | "SET_PARAMETER" => Need::Any,
            "DESCRIBE" | "PLAY" | "PAUSE" => Need::PlayOrTalk,
            "ANNOUNCE" | "RECORD" => Need::Record,
            "SETUP" => self.setup_needs(request),
            _ => Need::All,
        }
    }

    /// What a SETUP needs: `record` and `talk` let the viewer send.
    pub fn setup_needs(&self, request: &Message) -> Need {
        let records = request
            .headers("Transport")
            .any(|value| transport::parse(&value).iter().any(|offer| offer.record));
        match request.uri() {
            _ if records => Need::Record,
            Some(uri) if self.0.contains(urls::path(uri)) => Need::Talk,
            Some(_) | None => Need::Play,
        }
    }
}

impl Need {
    /// Whether `rights` meet it.
    pub fn met(self, rights: &Rights) -> bool {
        let (play, record, talk) = (rights.may("play"), rights.may("record"), rights.may("talk"));
        match self {
            Self::Any => play || record || talk,
            Self::PlayOrTalk => play || talk,
            Self::Play => play,
            Self::Record => record,
            Self::Talk => talk,
            Self::All => play && record && talk,
        }
    }
}

/// Whether a packet of a player carries no media: what opens a NAT, or a bare header.
pub fn is_latch(packet: &[u8]) -> bool {
    packet.len() <= RTP_HEADER || packet[0] >> 6 != 2
}

/// The URL that was exposed, and what lies below it. An exposed camera of a recorder is not the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach(Vec<String>);

impl Reach {
    /// What begins with `path`; with nothing or `/`, everything.
    pub fn new(path: &str) -> Self {
        Self(if matches!(path, "" | "/") { Vec::new() } else { vec![path.to_owned()] })
    }

    /// The camera has named another URL for the same.
    pub fn learn(&mut self, url: &str) {
        let path = urls::path(url);
        if !self.0.is_empty() && self.0.len() < LEARNT_MAX && !matches!(path, "" | "/" | "*") {
            self.0.push(path.to_owned());
        }
    }

    /// Learn what a description names.
    pub fn describe(&mut self, base: &str, description: &Description) {
        self.learn(base);
        let controls = description.tracks.iter().filter_map(|track| track.control.as_ref());
        for control in controls.chain(&description.control) {
            self.learn(&urls::resolve(base, control));
        }
    }

    /// Whether a request may ask for `url`.
    pub fn covers(&self, url: &str) -> bool {
        if url == "*" || self.0.is_empty() {
            return true;
        }
        let path = urls::path(url);
        let climbs = path.contains("/..") || path.contains('\\') || path.to_ascii_lowercase().contains("%2");
        self.0.iter().any(|root| {
            // Whatever the camera makes of dots and of encoded ones, it has named such a path itself.
            path == root || (!climbs && below(path, root))
        })
    }
}

fn below(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '&', ';']))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::grant::Capabilities;

    use super::super::media::describe;
    use super::super::message::{Item, Reader};
    use super::*;

    const DESCRIPTION: &[u8] =
        b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=recvonly\r\na=control:track1\r\n\
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
        tracks.learn("rtsp://cam/s/", &describe(DESCRIPTION));
        let [method, required] = tracks.needs(&request(text));
        if required == Need::Any { method } else { required }
    }

    #[test]
    fn each_method_needs_its_right() {
        for (text, needed) in [
            ("OPTIONS * RTSP/1.0\n\n", Need::Any),
            ("DESCRIBE rtsp://h/s RTSP/1.0\n\n", Need::PlayOrTalk),
            ("SETUP rtsp://h/s/track1 RTSP/1.0\nTransport: RTP/AVP;client_port=1-2\n\n", Need::Play),
            ("PLAY rtsp://h/s RTSP/1.0\n\n", Need::PlayOrTalk),
            ("PAUSE rtsp://h/s RTSP/1.0\n\n", Need::PlayOrTalk),
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
            assert_eq!(
                need(&format!("SETUP {uri} RTSP/1.0\nTransport: RTP/AVP;client_port=1-2\n\n")),
                Need::Talk
            );
        }
    }

    #[test]
    fn who_talks_does_not_see_by_saying_so() {
        let setup = "SETUP rtsp://h/s/track1 RTSP/1.0\nRequire: www.onvif.org/ver20/backchannel\nTransport: RTP/AVP;client_port=1-2\n\n";
        assert_eq!(Tracks::default().needs(&request(setup)), [Need::Play, Need::Talk]);
    }

    #[test]
    fn each_right_meets_its_need() {
        let only = |word: &str| Rights::Only(Capabilities::new(vec![word.to_owned()]).unwrap());
        for (rights, met) in [
            (only("play"), [true, true, true, false, false, false]),
            (only("record"), [true, false, false, true, false, false]),
            (only("talk"), [true, true, false, false, true, false]),
            (only("connect"), [false; 6]),
            (Rights::All, [true; 6]),
        ] {
            let needs = [Need::Any, Need::PlayOrTalk, Need::Play, Need::Record, Need::Talk, Need::All];
            assert_eq!(needs.map(|need| need.met(&rights)), met, "{rights:?}");
        }
    }

    #[test]
    fn a_packet_without_media_may_pass_and_no_other() {
        for packet in [&b""[..], b"\xce\xfa\xed\xfe", &[0; 200], &[0x80; 12]] {
            assert!(is_latch(packet));
        }
        assert!(!is_latch(&[0x80; 13]) && !is_latch(&[0xbf; 200]));
    }

    #[test]
    fn an_exposed_stream_is_not_its_neighbour() {
        let mut reach = Reach::new("/cam1");
        for (url, covered) in [
            ("rtsp://h/cam1", true),
            ("rtsp://h:1/cam1/", true),
            ("rtsp://h/cam1/track1", true),
            ("rtsp://h/cam1?x=1", true),
            ("*", true),
            ("rtsp://h/cam11", false),
            ("rtsp://h/cam2", false),
            ("rtsp://h/", false),
            ("rtsp://h", false),
            ("/cam2", false),
            ("rtsp://h/cam1/../cam2", false),
            ("rtsp://h/cam1/%2e%2E/cam2", false),
            ("rtsp://h/cam1/..%2fcam2", false),
            ("rtsp://h/cam1/..\\cam2", false),
        ] {
            assert_eq!(reach.covers(url), covered, "{url}");
        }
        // What the camera itself calls its tracks, and no root of everything.
        reach.describe(
            "rtsp://h/",
            &describe(b"v=0\r\nm=video 0 RTP/AVP 96\r\na=control:rtsp://h/media/v0\r\n"),
        );
        assert!(reach.covers("rtsp://h/media/v0") && !reach.covers("rtsp://h/media/v1"));
        assert!(!reach.covers("rtsp://h/cam2"));
    }

    #[test]
    fn without_a_path_everything_is_exposed() {
        for path in ["", "/"] {
            let mut reach = Reach::new(path);
            reach.learn("rtsp://h/cam1");
            assert!(reach.covers("rtsp://h/cam2"));
        }
    }

    #[test]
    fn a_query_is_part_of_what_was_exposed() {
        let reach = Reach::new("/realmonitor?channel=1");
        assert!(reach.covers("rtsp://h/realmonitor?channel=1&subtype=0"));
        assert!(reach.covers("rtsp://h/realmonitor?channel=1/trackID=0"));
        assert!(!reach.covers("rtsp://h/realmonitor?channel=12"));
        assert!(!reach.covers("rtsp://h/realmonitor?channel=2"));
    }
}
