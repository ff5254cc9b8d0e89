//! The Transport header: what was offered, what was chosen, and the same on another leg.
//!
//! An offer lists alternatives in order of liking. On each leg of a session the numbers mean something
//! else: between player and listener, and between exporter and camera, they are UDP ports or channels of
//! interleaved frames; inside the tunnel `interleaved` are channels of frames in the stream, and
//! `client_port` are numbers of datagram flows. So each leg writes its own, and keeps only the profile and
//! the parameters that mean the same everywhere, `ssrc` and `mode`, when they are plain words. What names an
//! address, such as `destination` and `source`, is never obeyed, and what is not known is never passed on:
//! nothing can hide in it.

use std::fmt;

/// Most alternatives that are looked at.
pub const ALTERNATIVES_MAX: usize = 16;

/// What goes over UDP ports or datagram flows, and what in frames of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lower {
    /// Datagrams.
    Udp,
    /// Interleaved frames.
    Tcp,
}

/// One alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// `RTP/AVP`, `RTP/SAVPF`: without what it goes over.
    pub profile: String,
    /// What it goes over.
    pub lower: Lower,
    /// To a group instead of to the player.
    pub multicast: bool,
    /// The player's UDP ports.
    pub client_port: Option<(u16, u16)>,
    /// The camera's UDP ports.
    pub server_port: Option<(u16, u16)>,
    /// Channels of frames.
    pub interleaved: Option<(u8, u8)>,
    /// `mode` says that the player sends.
    pub record: bool,
    /// The synchronisation source, as spelled: a plain word.
    ssrc: Option<String>,
    /// `mode`, likewise; `record` where it says that among others.
    mode: Option<String>,
}

/// The alternatives of a Transport header, in their order. What cannot be read, or is no RTP, is left out.
pub fn parse(value: &str) -> Vec<Transport> {
    split(value, ',').take(ALTERNATIVES_MAX).filter_map(parse_one).collect()
}

impl Transport {
    /// The same on another leg, as datagrams between these ports or flows.
    pub fn over_udp(&self, client_port: (u16, u16), server_port: Option<(u16, u16)>) -> Self {
        let bare = self.bare(Lower::Udp);
        Self { client_port: Some(client_port), server_port, ..bare }
    }

    /// The same on another leg, as frames in these channels.
    pub fn over_tcp(&self, interleaved: (u8, u8)) -> Self {
        Self { interleaved: Some(interleaved), ..self.bare(Lower::Tcp) }
    }

    /// The synchronisation source that the camera says it uses.
    pub fn ssrc(&self) -> Option<u32> {
        u32::from_str_radix(self.ssrc.as_ref()?, 16).ok()
    }

    fn set_mode(&mut self, value: &str) {
        let mode = value.trim_matches(['"', '\'']);
        let records = split(mode, ',')
            .any(|one| ["record", "receive"].iter().any(|name| one.trim().eq_ignore_ascii_case(name)));
        let word = is_word(mode).then(|| mode.to_owned());
        if records {
            self.mode = Some(word.unwrap_or_else(|| "record".to_owned()));
        } else if !self.record && word.is_some() {
            self.mode = word;
        }
        self.record |= records;
    }

    fn bare(&self, lower: Lower) -> Self {
        Self {
            lower,
            multicast: false,
            client_port: None,
            server_port: None,
            interleaved: None,
            ..self.clone()
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower = if self.lower == Lower::Tcp { "/TCP" } else { "" };
        write!(f, "{}{lower};{}", self.profile, if self.multicast { "multicast" } else { "unicast" })?;
        if let Some((rtp, rtcp)) = self.client_port {
            write!(f, ";client_port={rtp}-{rtcp}")?;
        }
        if let Some((rtp, rtcp)) = self.server_port {
            write!(f, ";server_port={rtp}-{rtcp}")?;
        }
        if let Some((rtp, rtcp)) = self.interleaved {
            write!(f, ";interleaved={rtp}-{rtcp}")?;
        }
        if let Some(ssrc) = &self.ssrc {
            write!(f, ";ssrc={ssrc}")?;
        }
        if let Some(mode) = &self.mode {
            write!(f, ";mode={mode}")?;
        }
        Ok(())
    }
}

fn parse_one(text: &str) -> Option<Transport> {
    let mut parameters = split(text, ';').map(str::trim);
    let (profile, lower) = protocol(parameters.next()?)?;
    let mut transport = Transport {
        profile,
        lower,
        multicast: false,
        client_port: None,
        server_port: None,
        interleaved: None,
        record: false,
        ssrc: None,
        mode: None,
    };
    for one in parameters.filter(|one| !one.is_empty()) {
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "multicast" => transport.multicast = true,
            "client_port" => transport.client_port = pair(value),
            "server_port" => transport.server_port = pair(value),
            "interleaved" => transport.interleaved = pair(value),
            "ssrc" if is_word(value) && transport.ssrc.is_none() => transport.ssrc = Some(value.to_owned()),
            "mode" => transport.set_mode(value),
            // Multiplexing would put RTCP where a player without it does not look; lifetimes and layers
            // are of groups; and who knows what the others are.
            _ => {}
        }
    }
    Some(transport)
}

/// `RTP/AVP/TCP`: the profile, and what it goes over.
fn protocol(text: &str) -> Option<(String, Lower)> {
    let mut words = text.split('/');
    let (rtp, profile, lower) = (words.next()?, words.next()?, words.next());
    let word = !profile.is_empty() && profile.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !rtp.eq_ignore_ascii_case("RTP") || !word || words.next().is_some() {
        return None;
    }
    let lower = match lower.map(str::to_ascii_uppercase).as_deref() {
        None | Some("UDP") => Lower::Udp,
        Some("TCP") => Lower::Tcp,
        Some(_) => return None,
    };
    Some((format!("{rtp}/{profile}"), lower))
}

/// `a-b`, or `a` for `a` and the next.
fn pair<T: std::str::FromStr + Copy + CheckedNext>(text: &str) -> Option<(T, T)> {
    match text.split_once('-') {
        Some((first, second)) => Some((first.trim().parse().ok()?, second.trim().parse().ok()?)),
        None => {
            let first: T = text.parse().ok()?;
            Some((first, first.next()?))
        }
    }
}

/// The number after.
trait CheckedNext: Sized {
    fn next(self) -> Option<Self>;
}

impl CheckedNext for u16 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl CheckedNext for u8 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

fn is_word(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Split where `at` does not stand between quotes.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |char| {
        quoted ^= char == '"';
        char == at && !quoted
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn alternatives_come_in_their_order() {
        let offered = parse(
            "RTP/AVP;unicast;client_port=5000-5001, RTP/AVP/TCP;unicast;interleaved=2-3,\
             RTP/SAVPF/UDP;multicast;port=1-2;ttl=127,x-real-rdt/tcp;a=b,RTP/AVP/SCTP",
        );
        let [udp, tcp, group] = &offered[..] else { panic!("{offered:?}") };
        assert_eq!((udp.lower, udp.client_port), (Lower::Udp, Some((5000, 5001))));
        assert_eq!((tcp.lower, tcp.interleaved), (Lower::Tcp, Some((2, 3))));
        assert_eq!((group.lower, group.multicast, group.profile.as_str()), (Lower::Udp, true, "RTP/SAVPF"));
    }

    #[test]
    fn a_leg_keeps_what_means_the_same_everywhere() {
        let offered =
            parse("RTP/AVP;unicast;client_port=5000-5001;ssrc=1A2B3C4D;mode=\"PLAY\";x-dynamic-rate=1");
        assert_eq!(
            offered[0].over_udp((6970, 6971), None).to_string(),
            "RTP/AVP;unicast;client_port=6970-6971;ssrc=1A2B3C4D;mode=PLAY"
        );
        assert_eq!(
            offered[0].over_tcp((0, 1)).to_string(),
            "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1A2B3C4D;mode=PLAY"
        );
        assert_eq!(offered[0].ssrc(), Some(0x1A2B_3C4D));
    }

    #[test]
    fn no_address_is_obeyed_or_passed_on() {
        for address in [
            "destination=192.0.2.1",
            "Destination = 192.0.2.1",
            "source=192.0.2.1",
            "dest_addr=\"192.0.2.1:5000\"",
            "src_addr=\"192.0.2.1:5000\"",
            "destination",
        ] {
            let offered = parse(&format!("RTP/AVP;unicast;{address};client_port=1-2"));
            assert_eq!(
                offered[0].over_udp((8, 9), Some((10, 11))).to_string(),
                "RTP/AVP;unicast;client_port=8-9;server_port=10-11"
            );
        }
    }

    #[test]
    fn what_is_not_known_or_no_plain_word_goes_nowhere() {
        for (odd, kept) in [
            ("x-dynamic-rate=1", ""),
            ("x=\"a;destination=192.0.2.1;b\"", ""),
            ("ssrc=\"1\"", ""),
            ("ssrc=1 2", ""),
            ("ssrc=1;ssrc=2", ";ssrc=1"),
            ("mode=\"a;b\"", ""),
            ("mode=\"PLAY,RECORD\"", ";mode=record"),
            ("mode=play;mode=RECORD", ";mode=RECORD"),
        ] {
            let offered = parse(&format!("RTP/AVP;unicast;{odd}"));
            assert_eq!(offered[0].to_string(), format!("RTP/AVP;unicast{kept}"), "{odd}");
        }
    }

    #[test]
    fn odd_spellings_are_read() {
        let one = |text: &str| parse(text).into_iter().next().unwrap();
        assert_eq!(one(" rtp/avp ;CLIENT_PORT= 5000 - 5001 ").client_port, Some((5000, 5001)));
        assert_eq!(one("RTP/AVP;client_port=5000").client_port, Some((5000, 5001)));
        assert_eq!(one("RTP/AVP;client_port=65535").client_port, None);
        assert_eq!(one("RTP/AVP;client_port=70000-70001").client_port, None);
        assert_eq!(one("RTP/AVP/TCP;interleaved=255-256").interleaved, None);
        assert_eq!(one("RTP/AVP;;unicast;").to_string(), "RTP/AVP;unicast");
        assert!(one("RTP/AVP;mode=record").record && one("RTP/AVP;MODE=\"PLAY,RECORD\"").record);
        assert!(one("RTP/AVP;mode=receive").record && !one("RTP/AVP;mode=play").record);
        // A comma between quotes belongs to its parameter.
        assert_eq!(parse("RTP/AVP;x=\"a,b;c\";mode=play").len(), 1);
        assert!(parse("").is_empty() && parse(",;,").is_empty());
    }
}
