//! PCP's MAP (RFC 6887) as bytes: what newer routers and carriers speak.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::Duration;

const VERSION: u8 = 2;
const MAP: u8 = 1;
const RESPONSE: u8 = 0x80;
const UDP: u8 = 17;

/// Header and MAP, without options.
const LENGTH: usize = 24 + 36;

/// The longest answer (RFC 6887, 7).
pub const ANSWER_MAX: usize = 1100;

/// Bytes of the number that makes a mapping ours.
pub const NONCE: usize = 12;

/// A mapping that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// By this machine, as the router sees it.
    pub client: Ipv4Addr,
    /// For this UDP port.
    pub internal: u16,
    /// Best at this address and port.
    pub external: SocketAddrV4,
    /// For so long; zero takes it back.
    pub lifetime: Duration,
    /// The same to renew it and to take it back.
    pub nonce: [u8; NONCE],
}

/// What a router gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Where.
    pub external: SocketAddrV4,
    /// For so long.
    pub lifetime: Duration,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an answer to what was asked.
    #[error("not an answer")]
    Stray,
    /// The router speaks an earlier version: NAT-PMP.
    #[error("the router does not speak PCP")]
    Version,
    /// The router says no, with this number.
    #[error("refused with code {0}")]
    Code(u8),
}

/// "Map that."
pub fn ask(wanted: &Wanted) -> Vec<u8> {
    let mut bytes = vec![VERSION, MAP, 0, 0];
    bytes.extend_from_slice(&u32::try_from(wanted.lifetime.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&wanted.client.to_ipv6_mapped().octets());
    bytes.extend_from_slice(&wanted.nonce);
    bytes.extend_from_slice(&[UDP, 0, 0, 0]);
    bytes.extend_from_slice(&wanted.internal.to_be_bytes());
    bytes.extend_from_slice(&wanted.external.port().to_be_bytes());
    bytes.extend_from_slice(&wanted.external.ip().to_ipv6_mapped().octets());
    bytes
}

/// What an answer to `wanted` gives.
pub fn mapped(answer: &[u8], wanted: &Wanted) -> Result<Mapped, Refused> {
    let (head, rest) = answer.split_first_chunk::<4>().ok_or(Refused::Stray)?;
    match *head {
        // RFC 6886, 3.5, and RFC 6887, appendix A: the short "unsupported version".
        [0, _, 0, 1] => return Err(Refused::Version),
        [VERSION, operation, _, 0] if operation == MAP | RESPONSE => {}
        [VERSION, operation, _, code] if operation == MAP | RESPONSE => {
            return Err(if code == 1 { Refused::Version } else { Refused::Code(code) });
        }
        [..] => return Err(Refused::Stray),
    }
    if answer.len() < LENGTH {
        return Err(Refused::Stray);
    }
    let (lifetime, rest) = rest.split_first_chunk::<4>().ok_or(Refused::Stray)?;
    // The router's clock, and what is reserved.
    let (_, rest) = rest.split_first_chunk::<16>().ok_or(Refused::Stray)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(Refused::Stray)?;
    let ([protocol, _, _, _], rest) = rest.split_first_chunk::<4>().ok_or(Refused::Stray)?;
    let ([a, b, c, d], rest) = rest.split_first_chunk::<4>().ok_or(Refused::Stray)?;
    let (external, _) = rest.split_first_chunk::<16>().ok_or(Refused::Stray)?;
    if *nonce != wanted.nonce || *protocol != UDP || u16::from_be_bytes([*a, *b]) != wanted.internal {
        return Err(Refused::Stray);
    }
    let IpAddr::V4(external) = Ipv6Addr::from(*external).to_canonical() else { return Err(Refused::Stray) };
    Ok(Mapped {
        external: SocketAddrV4::new(external, u16::from_be_bytes([*c, *d])),
        lifetime: Duration::from_secs(u32::from_be_bytes(*lifetime).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            client: Ipv4Addr::new(192, 168, 1, 7),
            internal: 4433,
            external: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 4433),
            lifetime: Duration::from_secs(7200),
            nonce: *b"twelve bytes",
        }
    }

    /// What a router answers: the question's bytes with another head and the address it gives.
    fn answer(code: u8, external: [u8; 4], port: u16) -> Vec<u8> {
        let mut bytes = ask(&wanted());
        bytes[1] |= RESPONSE;
        bytes[3] = code;
        bytes[8..24].fill(0);
        bytes[42..44].copy_from_slice(&port.to_be_bytes());
        bytes[44..60].copy_from_slice(&Ipv4Addr::from(external).to_ipv6_mapped().octets());
        bytes
    }

    #[test]
    fn the_question_is_as_the_rfc_draws_it() {
        let mut expected = vec![2, 1, 0, 0, 0, 0, 0x1c, 0x20];
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 7]);
        expected.extend_from_slice(b"twelve bytes");
        expected.extend_from_slice(&[17, 0, 0, 0, 0x11, 0x51, 0x11, 0x51]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(ask(&wanted()), expected);
        assert_eq!(expected.len(), LENGTH);
    }

    #[test]
    fn an_answer_gives_address_port_and_time() {
        let external = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 8888);
        let given = Mapped { external, lifetime: Duration::from_secs(7200) };
        assert_eq!(mapped(&answer(0, [192, 0, 2, 1], 8888), &wanted()), Ok(given));
    }

    #[test]
    fn what_answers_something_else_is_stray_and_a_no_is_a_no() {
        let good = answer(0, [192, 0, 2, 1], 8888);
        for length in 0..good.len() {
            assert_eq!(mapped(&good[..length], &wanted()), Err(Refused::Stray), "{length} bytes");
        }
        assert_eq!(mapped(&good, &Wanted { internal: 1, ..wanted() }), Err(Refused::Stray));
        assert_eq!(mapped(&good, &Wanted { nonce: [0; NONCE], ..wanted() }), Err(Refused::Stray));
        assert_eq!(mapped(&ask(&wanted()), &wanted()), Err(Refused::Stray));
        assert_eq!(mapped(&answer(8, [0; 4], 0), &wanted()), Err(Refused::Code(8)));
    }

    #[test]
    fn a_router_that_speaks_only_nat_pmp_is_told_apart() {
        assert_eq!(mapped(&[0, 128, 0, 1, 0, 0, 0, 9], &wanted()), Err(Refused::Version));
        assert_eq!(mapped(&answer(1, [0; 4], 0), &wanted()), Err(Refused::Version));
    }
}
