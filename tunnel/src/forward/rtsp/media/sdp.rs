//! Session descriptions (RFC 8866), as cameras write them: lines may end in LF, stand in any order after
//! their media line, and be wrong one by one.

use super::{Description, Size, Track, sps};
use data_encoding::BASE64_NOPAD;

/// Longest description that is read; the rest of it is not looked at.
pub const DESCRIPTION_MAX: usize = 64 * 1024;

/// Longest line; longer ones are passed over. Parameters in base64 are the longest there are.
pub const LINE_MAX: usize = 8 * 1024;

/// Most tracks that are looked at. Cameras have two or three.
pub const TRACKS_MAX: usize = 16;

/// Longest name that is kept: of a medium, a codec, a control URL.
pub const FIELD_MAX: usize = 1024;

/// Most parameter sets of one track that are looked at.
pub const FORMATS_MAX: usize = 8;

/// Read a description. What cannot be read is left out.
pub fn describe(text: &[u8]) -> Description {
    let mut description = Description::default();
    let mut sized = false;
    let mut tracks = 0;
    for line in text[..text.len().min(DESCRIPTION_MAX)].split(|byte| *byte == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((kind, value)) = line.trim().split_once('=').filter(|_| line.len() <= LINE_MAX) else {
            continue;
        };
        match (kind, description.tracks.last_mut()) {
            ("m", _) => {
                tracks += 1;
                if tracks > TRACKS_MAX {
                    break;
                }
                sized = false;
                description.tracks.push(media(value));
            }
            ("a", Some(track)) => attribute(track, value, &mut sized),
            ("a", None) => {
                if let Some(("control", value)) = value.split_once(':') {
                    description.control = kept(value);
                }
            }
            (_, _) => {}
        }
    }
    description
}

/// `video 0 RTP/AVP 96 97`
fn media(value: &str) -> Track {
    let mut words = value.split_ascii_whitespace();
    let media = words.next().and_then(kept).unwrap_or_default();
    let payload = words.nth(2).and_then(|word| word.parse::<u8>().ok()).filter(|payload| *payload < 128);
    let (codec, clock) = match payload {
        // RFC 3551: what needs no rtpmap.
        Some(0) => (Some("PCMU"), Some(8000)),
        Some(8) => (Some("PCMA"), Some(8000)),
        Some(26) => (Some("JPEG"), Some(90_000)),
        Some(32) => (Some("MPV"), Some(90_000)),
        Some(33) => (Some("MP2T"), Some(90_000)),
        _ => (None, None),
    };
    Track { media, payload, codec: codec.map(str::to_owned), clock, ..Track::default() }
}

/// `sized`: the codec itself has told the size, which no attribute changes.
fn attribute(track: &mut Track, value: &str, sized: &mut bool) {
    let (name, value) = value.split_once(':').unwrap_or((value, ""));
    let value = value.trim();
    match name.to_ascii_lowercase().as_str() {
        "control" => track.control = kept(value),
        "sendonly" => track.talk = true,
        "recvonly" | "sendrecv" | "inactive" => track.talk = false,
        "framerate" | "x-framerate" => {
            let rate = value.split('/').map(str::parse::<f32>).collect::<Result<Vec<_>, _>>();
            track.rate = match rate.as_deref() {
                Ok([rate]) => Some(*rate),
                Ok([count, seconds]) => Some(count / seconds),
                _ => None,
            }
            .filter(|rate| rate.is_finite() && *rate > 0.0);
        }
        "rtpmap" => {
            if let Some(mapped) = of_payload(track, value) {
                let mut parts = mapped.split('/');
                track.codec = parts.next().and_then(kept);
                track.clock = parts.next().and_then(|clock| clock.parse().ok()).filter(|clock| *clock > 0);
            }
        }
        "fmtp" => {
            let size = of_payload(track, value).and_then(of_parameters);
            if size.is_some() {
                (track.size, *sized) = (size, true);
            }
        }
        // Axis: `96 640-480`, QuickTime: `640,480`.
        "framesize" if !*sized => {
            if let Some(value) = of_payload(track, value) {
                track.size = pair(value, '-').and_then(|(width, height)| Size::new(width, height));
            }
        }
        "x-dimensions" if !*sized => {
            track.size = pair(value, ',').and_then(|(width, height)| Size::new(width, height));
        }
        // Top, left, bottom, right.
        "cliprect" if !*sized && track.size.is_none() => {
            let sides: Vec<u32> =
                value.split(',').map_while(|side| side.trim().parse().ok()).take(5).collect();
            if let [top, left, bottom, right] = sides[..] {
                track.size = Size::new(right.saturating_sub(left), bottom.saturating_sub(top));
            }
        }
        _ => {}
    }
}

/// What follows the payload type, if it is that of the track. A track whose media line has none takes the
/// first that is named.
fn of_payload<'a>(track: &mut Track, value: &'a str) -> Option<&'a str> {
    let (payload, rest) = value.split_once(|char: char| char.is_ascii_whitespace())?;
    let payload = payload.parse().ok().filter(|payload| *payload < 128)?;
    (*track.payload.get_or_insert(payload) == payload).then(|| rest.trim())
}

/// The size from `packetization-mode=1; sprop-parameter-sets=Z0Lg...,aM4...`.
fn of_parameters(value: &str) -> Option<Size> {
    for parameter in value.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        let read = if name.eq_ignore_ascii_case("sprop-parameter-sets") {
            sps::in_h264
        } else if name.eq_ignore_ascii_case("sprop-sps") {
            sps::in_h265
        } else {
            continue;
        };
        // Some leave the padding out, some write too much of it.
        let sets = value.split(',').take(FORMATS_MAX).map(|set| set.trim().trim_end_matches('='));
        let sets = sets.filter_map(|set| BASE64_NOPAD.decode(set.as_bytes()).ok());
        return sets.filter_map(|set| read(&set)).next();
    }
    None
}

fn pair(value: &str, between: char) -> Option<(u32, u32)> {
    let (one, two) = value.split_once(between)?;
    Some((one.trim().parse().ok()?, two.trim().parse().ok()?))
}

/// A name, unless it is one that no camera has.
fn kept(value: &str) -> Option<String> {
    let value = value.trim();
    let fits = !value.is_empty() && value.len() <= FIELD_MAX && !value.contains(char::is_control);
    fits.then(|| value.to_owned())
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
mod tests;
