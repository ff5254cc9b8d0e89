//! NAT-PMP (RFC 6886) as bytes: what home routers without PCP speak.

use std::net::Ipv4Addr;
use std::time::Duration;

/// Where routers listen, for PCP as well.
pub const PORT: u16 = 5351;

const VERSION: u8 = 0;
const EXTERNAL_ADDRESS: u8 = 0;
const MAP_UDP: u8 = 1;
const RESPONSE: u8 = 128;

/// "What is your external address?"
pub const ASK_ADDRESS: [u8; 2] = [VERSION, EXTERNAL_ADDRESS];

/// What a router gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// External port.
    pub port: u16,
    /// For so long.
    pub lifetime: Duration,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an answer to what was asked.
    #[error("not an answer")]
    Stray,
    /// The router says no, with this number.
    #[error("refused with code {0}")]
    Code(u16),
}

/// "Map this internal UDP port, best to `external`." A lifetime of zero takes the mapping back.
pub fn ask_mapping(internal: u16, external: u16, lifetime: Duration) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[1] = MAP_UDP;
    bytes[4..6].copy_from_slice(&internal.to_be_bytes());
    // To take it back, both must be zero (RFC 6886, 3.4).
    let external = if lifetime.is_zero() { 0 } else { external };
    bytes[6..8].copy_from_slice(&external.to_be_bytes());
    bytes[8..].copy_from_slice(&u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
    bytes
}

/// The external address in an answer.
pub fn address(answer: &[u8]) -> Result<Ipv4Addr, Refused> {
    let body = body(answer, EXTERNAL_ADDRESS)?;
    let octets: &[u8; 4] = body.first_chunk().ok_or(Refused::Stray)?;
    Ok(Ipv4Addr::from(*octets))
}

/// The mapping of `internal` in an answer.
pub fn mapped(answer: &[u8], internal: u16) -> Result<Mapped, Refused> {
    let body = body(answer, MAP_UDP)?;
    let [a, b, c, d, lifetime @ ..] = body.first_chunk::<8>().ok_or(Refused::Stray)?;
    if u16::from_be_bytes([*a, *b]) != internal {
        return Err(Refused::Stray);
    }
    let lifetime = Duration::from_secs(u32::from_be_bytes(*lifetime).into());
    Ok(Mapped { port: u16::from_be_bytes([*c, *d]), lifetime })
}

/// What follows version, operation, result and the router's clock.
fn body(answer: &[u8], operation: u8) -> Result<&[u8], Refused> {
    let (head, body) = answer.split_first_chunk::<8>().ok_or(Refused::Stray)?;
    let [version, answered, high, low, ..] = *head;
    if version != VERSION || answered != operation + RESPONSE {
        return Err(Refused::Stray);
    }
    match u16::from_be_bytes([high, low]) {
        0 => Ok(body),
        code => Err(Refused::Code(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS: Duration = Duration::from_secs(7200);

    #[test]
    fn a_mapping_is_asked_for_and_taken_back() {
        let asked = ask_mapping(4433, 4433, HOURS);
        assert_eq!(asked, [0, 1, 0, 0, 0x11, 0x51, 0x11, 0x51, 0, 0, 0x1c, 0x20]);
        let back = ask_mapping(4433, 4433, Duration::ZERO);
        assert_eq!(back, [0, 1, 0, 0, 0x11, 0x51, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn answers_are_read() {
        let address_answer = [0, 128, 0, 0, 0, 0, 0, 9, 192, 0, 2, 1];
        assert_eq!(address(&address_answer), Ok(Ipv4Addr::new(192, 0, 2, 1)));
        let answer = [0, 129, 0, 0, 0, 0, 0, 9, 0x11, 0x51, 0x22, 0xb8, 0, 0, 0x1c, 0x20];
        assert_eq!(mapped(&answer, 4433), Ok(Mapped { port: 8888, lifetime: HOURS }));
    }

    #[test]
    fn what_answers_something_else_is_stray_and_a_no_is_a_no() {
        let answer = [0, 129, 0, 0, 0, 0, 0, 9, 0x11, 0x51, 0x22, 0xb8, 0, 0, 0x1c, 0x20];
        assert_eq!(mapped(&answer, 4434), Err(Refused::Stray));
        assert_eq!(address(&answer), Err(Refused::Stray));
        for length in 0..answer.len() {
            assert_eq!(mapped(&answer[..length], 4433), Err(Refused::Stray), "{length} bytes");
        }
        assert_eq!(mapped(&[0, 129, 0, 2, 0, 0, 0, 9], 4433), Err(Refused::Code(2)));
        assert_eq!(
            mapped(&[1, 129, 0, 0, 0, 0, 0, 9, 0x11, 0x51, 0, 1, 0, 0, 0, 1], 4433),
            Err(Refused::Stray)
        );
    }
}
