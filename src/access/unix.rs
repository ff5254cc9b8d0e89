//! Who has connected to a unix socket?
//!
//! The kernel keeps the user a process had when it connected (SO_PEERCRED), and sock_diag tells which socket
//! it did that with, so that those who hold it now can be found. The process id that SO_PEERCRED tells as
//! well is not used: the process may have ended, and another have its number.

use std::io;

use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixRequest};
use nix::sys::stat::fstat;
use tokio::net::UnixStream;

use super::socket::{NO_COOKIE, Owner, ask};

/// No socket has it: of an owner whose socket the kernel does not tell, no rule about processes fits.
const NO_INODE: u64 = 0;

/// The owner of the socket at the other end of `stream`: whoever connected it.
pub fn unix_owner(stream: &UnixStream) -> io::Result<Owner> {
    let uid = stream.peer_cred()?.uid();
    let inode = peer(stream).unwrap_or_else(|error| {
        tracing::trace!(%error, "sock_diag does not tell the socket of a peer");
        NO_INODE
    });
    Ok(Owner { uid, inode })
}

/// The inode of the socket at the other end.
fn peer(stream: &UnixStream) -> io::Result<u64> {
    let own = fstat(stream)?.st_ino;
    // The kernel's question has 32 bits for it.
    let inode = own.try_into().map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
    let request =
        UnixRequest { state_flags: StateFlags::all(), inode, show_flags: ShowFlags::PEER, cookie: NO_COOKIE };
    match ask(SockDiagMessage::UnixRequest(request))? {
        SockDiagMessage::UnixResponse(found) => {
            found.peer().map(u64::from).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::os::unix::net::UnixStream as Plain;

    use nix::unistd::Uid;

    use super::*;

    fn inode(socket: &Plain) -> u64 {
        fstat(socket).unwrap().st_ino
    }

    #[tokio::test]
    async fn the_socket_at_the_other_end_is_found() {
        let (near, far) = Plain::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = UnixStream::from_std(near).unwrap();
        let expected = Owner { uid: Uid::effective().as_raw(), inode: inode(&far) };
        assert_eq!(unix_owner(&near).unwrap(), expected);
    }

    #[tokio::test]
    async fn nobody_holds_the_socket_of_one_that_has_gone() {
        let (near, far) = Plain::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = UnixStream::from_std(near).unwrap();
        drop(far);
        let owner = unix_owner(&near).unwrap();
        assert_eq!(super::super::process::holders(owner.inode), []);
    }
}
