//! Ports, as people write them: `"8554"`, `"1024-65535"`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::Deserialize;

/// Most ranges of one list.
pub const RANGES_MAX: usize = 64;

/// Ports below need the capability `CAP_NET_BIND_SERVICE` (`net.ipv4.ip_unprivileged_port_start` of a system that
/// was not told otherwise).
pub const PRIVILEGED: u16 = 1024;

/// A list of ports and ranges of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct PortRanges(Vec<RangeInclusive<u16>>);

/// Why a list of texts is none of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortRangesError {
    /// Not a port and no range.
    #[error("ports are written \"8554\" or \"8000-8099\", from 1 to 65535")]
    Range,
    /// Too many.
    #[error("at most {RANGES_MAX} ports and ranges")]
    TooMany,
}

impl PortRanges {
    /// Whether every port is in it that takes no right to listen on.
    pub fn are_all(&self) -> bool {
        self.0.iter().any(|range| *range.start() <= PRIVILEGED && *range.end() == u16::MAX)
    }

    /// Whether some port is in it that takes a right to listen on.
    pub fn are_low(&self) -> bool {
        self.0.iter().any(|range| *range.start() < PRIVILEGED)
    }

    /// All of them.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.0.iter().cloned().flatten().collect()
    }
}

impl Default for PortRanges {
    fn default() -> Self {
        Self(vec![PRIVILEGED..=u16::MAX])
    }
}

impl TryFrom<Vec<String>> for PortRanges {
    type Error = PortRangesError;

    fn try_from(texts: Vec<String>) -> Result<Self, PortRangesError> {
        if texts.len() > RANGES_MAX {
            return Err(PortRangesError::TooMany);
        }
        texts.iter().map(|text| range(text)).collect::<Result<_, _>>().map(Self)
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, PortRangesError> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or(PortRangesError::Range);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = port(first)?..=port(last)?;
    if range.is_empty() { Err(PortRangesError::Range) } else { Ok(range) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn read(texts: &[&str]) -> Result<PortRanges, PortRangesError> {
        texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn ports_and_ranges_are_read() {
        let ports = read(&["8554", "80-82"]).unwrap();
        assert_eq!(ports.ports().into_iter().collect::<Vec<_>>(), [80, 81, 82, 8554]);
        assert!(ports.are_low() && !ports.are_all());
        assert!(PortRanges::default().are_all() && !PortRanges::default().are_low());
        assert!(read(&["1-65535"]).unwrap().are_all() && !read(&["1025-65535"]).unwrap().are_all());
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "0", "65536", "-1", "1-", "2-1", "a", "1-2-3", "0-9"] {
            assert_eq!(read(&[text]), Err(PortRangesError::Range), "{text:?}");
        }
        assert_eq!(read(&["1"; RANGES_MAX + 1]), Err(PortRangesError::TooMany));
    }
}
