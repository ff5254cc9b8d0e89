//! Some file descriptors are left for the daemon's own work.
//!
//! Applications and targets take most of them: each connection one, at both ends. When they have taken all, the
//! daemon could not open its database, hear its control socket or start a session. So it says how many there
//! are ([`limit_to`]), and the last of them, [`RESERVE`] at most, are not for what applications bring: a
//! socket of theirs that would get one of these is closed at once ([`spare`]), and counted.
//!
//! Nobody has to keep count of what is open. The system always gives the lowest number that is free, so
//! a high one says that all below are taken; and when others have gone, there are low ones again.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::libc::EMFILE;

/// Most descriptors that are kept; of a small number, a quarter.
pub const RESERVE: u64 = 256;

/// The first number that is not for applications.
static CEILING: AtomicI32 = AtomicI32::new(RawFd::MAX);

/// Sockets that were closed for that.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// This process may have so many descriptors. Before it is said, all are for everybody.
pub fn limit_to(limit: u64) {
    CEILING.store(ceiling(limit), Ordering::Relaxed);
}

/// How many sockets were closed to keep descriptors free.
pub fn refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

/// A new socket that an application or a target brings, unless its descriptor is one of the last.
pub fn spare<S: AsRawFd>(socket: S) -> io::Result<S> {
    if socket.as_raw_fd() < CEILING.load(Ordering::Relaxed) {
        return Ok(socket);
    }
    REFUSED.fetch_add(1, Ordering::Relaxed);
    Err(io::Error::from_raw_os_error(EMFILE))
}

fn ceiling(limit: u64) -> RawFd {
    RawFd::try_from(limit - RESERVE.min(limit / 4)).unwrap_or(RawFd::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_are_kept_of_many_and_of_few() {
        assert_eq!(ceiling(0), 0);
        assert_eq!(ceiling(64), 48);
        assert_eq!(ceiling(1024), 768);
        assert_eq!(ceiling(20_000), 19_744);
        assert_eq!(ceiling(u64::MAX), RawFd::MAX);
    }
}
