//! WS-Discovery as texts: who is a camera here, and where does it answer.
//!
//! An answer counts when it relates to our question and leads to the address that it came from, so that no
//! neighbour can send this machine to ask somewhere else.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::xml::{self, Node};

/// Where cameras hear questions.
pub const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 3702);

/// Longest name that is shown, in characters.
const NAME_MAX: usize = 64;

/// Most addresses of one answer that are looked at.
const ADDRESSES_MAX: usize = 8;

/// What comes before the names in a camera's scopes.
const SCOPE: &str = "onvif://www.onvif.org/";

/// Somewhere at a camera, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The camera.
    pub host: SocketAddrV4,
    /// Path and query.
    pub path: String,
}

/// A camera that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its device service.
    pub at: At,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its model.
    pub hardware: Option<String>,
}

/// The question, with a number that answers repeat.
pub fn probe(number: u128) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\"><e:Header>\
         <w:MessageID>{id}</w:MessageID>\
         <w:To e:mustUnderstand=\"true\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action e:mustUnderstand=\"true\">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action>\
         </e:Header><e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>",
        id = message_id(number),
    )
}

/// What an answer from `from` to question `number` says.
pub fn found(answer: &[u8], number: u128, from: Ipv4Addr) -> Option<Found> {
    let text = str::from_utf8(answer).ok()?;
    let document = xml::parse(text)?;
    let root = document.root_element();
    let relates = xml::text(root, "RelatesTo")?;
    if !relates.eq_ignore_ascii_case(&message_id(number)) {
        return None;
    }
    let matched = xml::find(root, "ProbeMatch")?;
    let addresses = xml::text(matched, "XAddrs")?;
    let at = addresses.split_ascii_whitespace().take(ADDRESSES_MAX).find_map(|url| at(url, from))?;
    Some(Found { at, name: scope(matched, "name/"), hardware: scope(matched, "hardware/") })
}

/// `url`, when it leads to `camera` by HTTP.
pub fn at(url: &str, camera: Ipv4Addr) -> Option<At> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (host, 80),
    };
    let path = if path.is_empty() { "/" } else { path };
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic()) && path.len() <= 1024;
    let same = host.parse() == Ok(camera);
    (plain && same).then(|| At { host: SocketAddrV4::new(camera, port), path: path.to_owned() })
}

/// Whether a camera may be at `from`: of a home or an office, and not where a cloud keeps its secrets.
pub fn may_be_asked(from: Ipv4Addr) -> bool {
    (from.is_private() || from.is_link_local()) && from != Ipv4Addr::new(169, 254, 169, 254)
}

/// A text of a camera for people: without control characters, and not endless.
pub fn shown(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

fn message_id(number: u128) -> String {
    let hex = format!("{number:032x}");
    format!("uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn scope(matched: Node<'_, '_>, kind: &str) -> Option<String> {
    let scopes = xml::text(matched, "Scopes")?;
    let value =
        scopes.split_ascii_whitespace().find_map(|scope| scope.strip_prefix(SCOPE)?.strip_prefix(kind))?;
    shown(&decoded(value))
}

/// Without percent encoding.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|hex| str::from_utf8(hex).ok()).filter(|_| *first == b'%');
        match digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const CAMERA: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);

    fn answer(relates: &str, addresses: &str, scopes: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"e\" xmlns:a=\"a\" xmlns:d=\"d\"><s:Header>\
             <a:RelatesTo>{relates}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches><d:ProbeMatch>\
             <d:Scopes>{scopes}</d:Scopes><d:XAddrs>{addresses}</d:XAddrs></d:ProbeMatch></d:ProbeMatches>\
             </s:Body></s:Envelope>"
        )
    }

    #[test]
    fn a_camera_says_where_it_answers_and_what_it_is() {
        let text = answer(
            &message_id(7).to_uppercase().replace("UUID", "uuid"),
            "http://[fe80::1]/x http://192.168.1.20:8000/onvif/device_service",
            "onvif://www.onvif.org/type/ptz onvif://www.onvif.org/name/Front%20Door \
             onvif://www.onvif.org/hardware/XC-1",
        );
        let found = found(text.as_bytes(), 7, CAMERA).unwrap();
        let host = SocketAddrV4::new(CAMERA, 8000);
        assert_eq!(found.at, At { host, path: "/onvif/device_service".to_owned() });
        assert_eq!(found.name.as_deref(), Some("Front Door"));
        assert_eq!(found.hardware.as_deref(), Some("XC-1"));
        assert!(probe(7).contains("uuid:00000000-0000-0000-0000-000000000007"));
        assert!(xml::parse(&probe(7)).is_some());
    }

    #[test]
    fn an_answer_to_nobody_or_to_somewhere_else_is_none() {
        let good = message_id(7);
        for (relates, addresses) in [
            (message_id(8).as_str(), "http://192.168.1.20/x"),
            (&good, "http://192.168.1.21/x"),
            (&good, "http://192.168.1.20@192.168.1.21/x"),
            (&good, "https://192.168.1.20/x"),
            (&good, "http://192.168.1.20:0/x"),
            (&good, "http://camera/x"),
            (&good, ""),
        ] {
            assert_eq!(found(answer(relates, addresses, "").as_bytes(), 7, CAMERA), None, "{addresses}");
        }
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><x>&a;</x>";
        assert_eq!(found(bomb.as_bytes(), 7, CAMERA), None);
        assert_eq!(found(&[0xff], 7, CAMERA), None);
    }

    #[test]
    fn only_neighbours_are_asked() {
        assert!(may_be_asked(CAMERA) && may_be_asked(Ipv4Addr::new(169, 254, 7, 7)));
        for elsewhere in [[127, 0, 0, 1], [8, 8, 8, 8], [169, 254, 169, 254], [239, 255, 255, 250], [0; 4]] {
            assert!(!may_be_asked(elsewhere.into()), "{elsewhere:?}");
        }
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(shown("a\u{1b}[31m\nb").as_deref(), Some("a[31mb"));
        assert_eq!(shown(" \t "), None);
        assert_eq!(shown(&"x".repeat(1000)).unwrap().len(), NAME_MAX);
        assert_eq!(decoded("%41%zz%e4%"), "A%zz\u{fffd}%");
    }
}
