//! The interface of the kernel that packets of applications come from and go to.
//!
//! A TUN device with offload ([`super::offload`]), whoever has made it: a descriptor that gives and takes one
//! packet at a time, with a header. Any other descriptor that does so serves as well, which the tests use:
//! a pair of datagram sockets.

use std::io::{self, IoSlice};
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::uio::writev;
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::counters::{Counters, Dropped};
use super::icmp::{Trouble, error};
use super::offload::{OFFLOAD_HEADER, READ_MAX, take};
use super::packet::{Packet, Unfit};

/// Packets read before other work gets its turn. Each may be a train of 64 kB, and what waits for a path is
/// bounded to a few of those.
const TURN: usize = 8;

/// Errors sent to applications at once, and between two more.
const ERRORS_MAX: u32 = 64;
const ERRORS_EVERY: Duration = Duration::from_millis(10);

/// An interface.
#[derive(Debug)]
pub struct Interface {
    name: String,
    descriptor: AsyncFd<OwnedFd>,
    counters: Counters,
    errors: Mutex<Allowance>,
}

/// A packet of an application, and as it travels.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// What it is.
    pub packet: Packet<'a>,
    /// The frame for another node.
    pub frame: &'a [u8],
}

impl Interface {
    /// The interface `name`, which `descriptor` leads to.
    pub fn new(name: String, descriptor: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL)?);
        fcntl(&descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        #[expect(
            deprecated,
            reason = "for descriptors that may change; an owned one does not, and this is safe"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Self { name, descriptor, counters: Counters::default(), errors: Mutex::default() })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was dropped before it was known whose it is.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Hand every packet that applications send to `deliver`, until the interface is gone. Whoever sent one that
    /// `deliver` has trouble with is told, by an address of its own network.
    pub async fn pump(
        &self,
        mut deliver: impl FnMut(Instant, Outgoing<'_>) -> Result<(), Trouble>,
    ) -> io::Error {
        let mut buffer = vec![0; READ_MAX];
        loop {
            let ready = self.descriptor.ready(Interest::READABLE | Interest::ERROR).await;
            let mut guard = match ready {
                Ok(guard) => guard,
                Err(error) => return error,
            };
            let now = Instant::now();
            for _ in 0..TURN {
                match guard.try_io(|descriptor| Ok(read(descriptor.get_ref(), &mut buffer)?)) {
                    Ok(Ok(length)) => self.took(now, &mut buffer[..length], &mut deliver),
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(Err(error)) => return error,
                    Err(_would_block) => break,
                }
            }
            drop(guard);
            // What was read is sent by other tasks.
            tokio::task::yield_now().await;
        }
    }

    /// Give a packet to applications. It never waits: what is not taken is lost.
    pub fn write(&self, header: [u8; OFFLOAD_HEADER], packet: &[u8]) -> io::Result<()> {
        let slices = [IoSlice::new(&header), IoSlice::new(packet)];
        // Not by way of the readiness: nobody waits for it.
        writev(self.descriptor.get_ref(), &slices)?;
        Ok(())
    }

    fn took(
        &self,
        now: Instant,
        read: &mut [u8],
        deliver: &mut impl FnMut(Instant, Outgoing<'_>) -> Result<(), Trouble>,
    ) {
        let taken = take(read, |frame| {
            let packet = match Packet::parse(&frame[super::FRAME_HEADER..]) {
                Ok(packet) => packet,
                Err(unfit) => return self.counters.drop(dropped(unfit)),
            };
            if let Err(trouble) = deliver(now, Outgoing { packet, frame }) {
                self.tell(now, &packet, trouble);
            }
        });
        if taken.is_err() {
            self.counters.drop(Dropped::Malformed);
        }
    }

    pub(super) fn tell(&self, now: Instant, packet: &Packet<'_>, trouble: Trouble) {
        if !self.errors.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return;
        }
        if let Some(error) = error(router_of(packet.source), packet, trouble) {
            // The next packet brings the next error.
            let _ = self.write([0; OFFLOAD_HEADER], &error);
        }
    }
}

/// The word for what a packet is not.
pub(super) fn dropped(unfit: Unfit) -> Dropped {
    match unfit {
        Unfit::NotIpv6 => Dropped::NotIpv6,
        Unfit::Malformed | Unfit::Routing => Dropped::Malformed,
        Unfit::OneLink => Dropped::Quiet,
    }
}

/// Who speaks for a network: an address of it that no node has.
fn router_of(own: Ipv6Addr) -> Ipv6Addr {
    let mut octets = coconet::address::prefix_of(own).octets();
    octets[15] = 1;
    octets.into()
}

/// How many more errors may be sent.
#[derive(Debug, Default)]
struct Allowance {
    left: u32,
    since: Option<Instant>,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert_with(|| {
            self.left = ERRORS_MAX;
            now
        });
        let more = now.saturating_duration_since(since).as_millis() / ERRORS_EVERY.as_millis();
        if more > 0 {
            self.left = self.left.saturating_add(u32::try_from(more).unwrap_or(ERRORS_MAX)).min(ERRORS_MAX);
            self.since = Some(now);
        }
        let taken = self.left > 0;
        self.left -= u32::from(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_few_and_come_back() {
        let (mut allowance, begun) = (Allowance::default(), Instant::now());
        let taken = |allowance: &mut Allowance, now| (0..1000).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(&mut allowance, begun), ERRORS_MAX as usize);
        assert_eq!(taken(&mut allowance, begun + ERRORS_EVERY * 3), 3);
        assert_eq!(taken(&mut allowance, begun + ERRORS_EVERY * 100_000), ERRORS_MAX as usize);
    }
}
