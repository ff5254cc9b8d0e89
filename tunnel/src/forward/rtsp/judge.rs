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

/// Headers of a request that a camera gets. What is not known here may mean anything to one.
const PASSED: [&str; 18] = [
    "CSeq",
    "Session",
    "Transport",
    "Range",
    "Scale",
    "Speed",
    "User-Agent",
    "Authorization",
    "Content-Type",
    "Content-Base",
    "RTP-Info",
    "Rate-Control",
    "Immediate",
    "Frames",
    "Blocksize",
    "Bandwidth",
    "If-Modified-Since",
    "Timestamp",
];

/// The same for those that are lists, which may be spread over several lines.
const PASSED_LISTS: [&str; 4] = ["Require", "Proxy-Require", "Accept", "Accept-Language"];

/// Methods that may have a body.
const WITH_BODY: [&str; 3] = ["ANNOUNCE", "SET_PARAMETER", "GET_PARAMETER"];

/// Packet types of RTCP (RFC 5761, 4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

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
pub struct Tracks {
    talk: BTreeSet<String>,
    /// What the viewer announced on this connection: its own to record.
    announced: BTreeSet<String>,
}

impl Tracks {
    /// Remember those of a description, which stood at `base`.
    pub fn learn(&mut self, base: &str, description: &Description) {
        let talking = description.tracks.iter().filter(|track| track.talk);
        let paths = talking
            .filter_map(|track| track.control.as_ref())
            .map(|control| urls::path(&urls::resolve(base, control)).to_owned());
        self.talk.extend(paths.take(LEARNT_MAX.saturating_sub(self.talk.len())));
    }

    /// The camera has taken a description from the viewer.
    pub fn announce(&mut self, url: &str) {
        if self.announced.len() < LEARNT_MAX {
            self.announced.insert(urls::path(url).to_owned());
        }
    }

    /// What a request needs: all of it.
    pub fn needs(&self, request: &Message) -> [Need; 3] {
        let talks = ["Require", "Proxy-Require"].iter().any(|name| request.lists(name, BACKCHANNEL));
        let records = request.method() == Some("SETUP") && records(request);
        [
            self.method_needs(request),
            if talks { Need::Talk } else { Need::Any },
            if records { Need::Record } else { Need::Any },
        ]
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

    /// Whether a SETUP that was allowed lets the viewer send.
    pub fn sends(&self, request: &Message) -> bool {
        records(request) || request.uri().is_some_and(|uri| self.talk.contains(urls::path(uri)))
    }

    /// What the track of a SETUP needs, whatever is done with it.
    fn setup_needs(&self, request: &Message) -> Need {
        let path = request.uri().map(urls::path).unwrap_or_default();
        if self.talk.contains(path) {
            return Need::Talk;
        }
        let own = !climbs(path) && self.announced.iter().any(|root| below(path, root));
        if own && records(request) { Need::Record } else { Need::Play }
    }
}

fn records(request: &Message) -> bool {
    request.headers("Transport").any(|value| transport::parse(&value).iter().any(|offer| offer.record))
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
    packet.len() <= RTP_HEADER
}

/// Whether a packet is RTCP. What follows its first part may be encrypted.
pub fn is_rtcp(packet: &[u8]) -> bool {
    let Some(head) = packet.first_chunk::<4>() else { return false };
    let length = (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1) * 4;
    head[0] >> 6 == 2 && RTCP_TYPES.contains(&head[1]) && length <= packet.len()
}

/// A request of a viewer as the camera hears it: what is known here and nothing else, so that the camera
/// reads what was judged.
pub fn towards_camera(request: &Message) -> Message {
    let mut request = request.only(&PASSED, &PASSED_LISTS);
    if request.method() != Some("SETUP") {
        request.remove("Transport");
    }
    request
}

/// Whether a request has a body where none belongs: a camera that does not look for one there reads it as
/// the next request.
pub fn has_odd_body(request: &Message) -> bool {
    !request.body().is_empty() && request.method().is_none_or(|method| !WITH_BODY.contains(&method))
}

/// The URL that was exposed and what lies below it, and the URLs that the camera itself has named. An exposed
/// camera of a recorder is not the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Nothing: everything is exposed.
    exposed: Option<String>,
    /// Without slashes at their ends.
    named: BTreeSet<String>,
}

impl Reach {
    /// What begins with `path`; with nothing or `/`, everything.
    pub fn new(path: &str) -> Self {
        let exposed = (!matches!(path, "" | "/")).then(|| path.to_owned());
        Self { exposed, named: BTreeSet::new() }
    }

    /// The camera has named another URL for the same. What lies below it, it has to name as well.
    pub fn learn(&mut self, url: &str) {
        let path = urls::path(url).trim_end_matches('/');
        if self.exposed.is_some() && self.named.len() < LEARNT_MAX && !matches!(path, "" | "*") {
            self.named.insert(path.to_owned());
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

    /// Whether a request may ask for `url`. `*` is nobody's: it is for OPTIONS alone.
    pub fn covers(&self, url: &str) -> bool {
        if url == "*" {
            return false;
        }
        let Some(exposed) = &self.exposed else { return true };
        if url.contains('\\') {
            return false;
        }
        let path = urls::path(url);
        // Whatever the camera makes of dots and of encoded ones, it has named such a path itself.
        path == exposed
            || self.named.contains(path.trim_end_matches('/'))
            || (!climbs(path) && below(path, exposed))
    }
}

/// Whether a camera may read a path as another one.
fn climbs(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    ["/..", "\\", "%2e", "%2f", "%5c", "%25"].iter().any(|odd| path.contains(odd))
}

/// Whether `path` is `root` or appended to it. Behind a query nothing may be a query again: another value of
/// the same key may be another camera.
fn below(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    let Some(rest) = path.strip_prefix(root) else { return false };
    if root.contains('?') {
        rest.is_empty() || (rest.starts_with('/') && !rest.contains(['?', '&', ';', '%', '#']))
    } else {
        rest.is_empty() || rest.starts_with(['/', '?'])
    }
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
        let [method, required, records] = tracks.needs(&request(text));
        match (required, records) {
            (Need::Any, Need::Any) => method,
            (Need::Any, records) => records,
            (required, _) => required,
        }
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
        assert_eq!(Tracks::default().needs(&request(setup)), [Need::Play, Need::Talk, Need::Any]);
    }

    #[test]
    fn recording_needs_what_the_track_needs_as_well_except_where_it_was_announced() {
        let setup = |track: &str| {
            request(&format!("SETUP rtsp://h/s/{track} RTSP/1.0\nTransport: RTP/AVP;mode=record\n\n"))
        };
        let mut tracks = Tracks::default();
        tracks.learn("rtsp://cam/s/", &describe(DESCRIPTION));
        assert_eq!(tracks.needs(&setup("track1")), [Need::Play, Need::Any, Need::Record]);
        assert_eq!(tracks.needs(&setup("track5")), [Need::Talk, Need::Any, Need::Record]);
        tracks.announce("rtsp://h/s");
        assert_eq!(tracks.needs(&setup("track1")), [Need::Record, Need::Any, Need::Record]);
        assert_eq!(tracks.needs(&setup("track5")), [Need::Talk, Need::Any, Need::Record]);
        assert_eq!(tracks.needs(&setup("../x/track1")), [Need::Play, Need::Any, Need::Record]);
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
        for packet in [&b""[..], b"\xce\xfa\xed\xfe", &[0; 12], &[0x80; 12]] {
            assert!(is_latch(packet));
        }
        for packet in [&[0x80; 13][..], &[0xbf; 200], &[0; 13], &[0x40; 200]] {
            assert!(!is_latch(packet));
        }
    }

    #[test]
    fn an_exposed_stream_is_not_its_neighbour() {
        let mut reach = Reach::new("/cam1");
        for (url, covered) in [
            ("rtsp://h/cam1", true),
            ("rtsp://h:1/cam1/", true),
            ("rtsp://h/cam1/track1", true),
            ("rtsp://h/cam1?x=1", true),
            ("*", false),
            ("rtsp://h/cam1&x=1", false),
            ("rtsp://h/cam1;x=1", false),
            ("rtsp://h/cam1/%5C../cam2", false),
            ("rtsp://h/cam1/%252e%252e/cam2", false),
            ("rtsp://h\\cam2/cam1", false),
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
        let mut reach = Reach::new("/realmonitor?channel=1");
        assert!(reach.covers("rtsp://h/realmonitor?channel=1"));
        assert!(reach.covers("rtsp://h/realmonitor?channel=1/trackID=0"));
        assert!(!reach.covers("rtsp://h/realmonitor?channel=12"));
        assert!(!reach.covers("rtsp://h/realmonitor?channel=2"));
        for rest in ["&channel=2", "&subtype=0", "/&channel=2", "/x%26channel=2", "/?channel=2", ";channel=2"]
        {
            assert!(!reach.covers(&format!("rtsp://h/realmonitor?channel=1{rest}")), "{rest}");
        }
        // Unless the camera itself calls a track so.
        let said = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=control:rtsp://h/realmonitor?channel=1&trackID=1\r\n";
        reach.describe("rtsp://h/realmonitor/", &describe(said));
        assert!(reach.covers("rtsp://h/realmonitor?channel=1&trackID=1"));
        assert!(reach.covers("rtsp://h/realmonitor/") && reach.covers("rtsp://h/realmonitor"));
        assert!(!reach.covers("rtsp://h/realmonitor?channel=1&trackID=12"));
        assert!(!reach.covers("rtsp://h/realmonitor/x") && !reach.covers("rtsp://h/realmonitor?channel=2"));
    }

    #[test]
    fn what_a_camera_calls_itself_opens_nothing_beside_or_below() {
        let mut reach = Reach::new("/media/cam1");
        reach.describe("rtsp://h/media/", &describe(b"v=0\r\nm=video 0 RTP/AVP 96\r\na=control:track1\r\n"));
        for (path, covered) in [
            ("/media/", true),
            ("/media/track1", true),
            ("/media/track1/x", false),
            ("/media/cam2", false),
            ("/media?x", false),
            ("/media/cam1/track1", true),
        ] {
            assert_eq!(reach.covers(&format!("rtsp://h{path}")), covered, "{path}");
        }
    }
}
