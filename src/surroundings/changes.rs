//! Noticing that addresses or routes have changed.
//!
//! The kernel says so on a netlink socket. What it says is not read: a change of one address is told in
//! several messages, a driver may chatter without any change, and messages are lost when there are too many.
//! A message only means that it is time to look, [`SETTLE`] later, when what belongs together has arrived;
//! a look that finds nothing new is followed by a rest of [`REST`]. Where the kernel does not let this
//! process listen, it looks every [`POLL`] instead.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::links::Links;

/// Time between the first message and the look. Long enough for all messages of one change, short beside
/// the time that a broken path takes to be noticed.
pub const SETTLE: Duration = Duration::from_millis(100);

/// Rest after a look that found nothing new.
pub const REST: Duration = Duration::from_secs(1);

/// Time between two looks where the kernel does not tell.
pub const POLL: Duration = Duration::from_secs(5);

/// What the kernel is asked to tell of.
const GROUPS: i32 = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE;

/// Watches for as long as it is kept. One is enough for a daemon: everybody else listens.
#[derive(Debug)]
pub struct Watcher {
    links: watch::Receiver<Arc<Links>>,
    task: AbortHandle,
}

impl Watcher {
    /// Begin to watch, on a tokio runtime.
    pub fn start() -> Self {
        // Listening first: what changes after the first look is told.
        let netlink = Netlink::open();
        let (tell, links) = watch::channel(Arc::new(look().unwrap_or_default()));
        let task = tokio::spawn(async move {
            match netlink {
                Ok(netlink) => follow(netlink, look, tell).await,
                Err(error) => {
                    tracing::info!(%error, every = ?POLL, "the kernel does not tell of network changes; looking");
                    follow(Clock, look, tell).await;
                }
            }
        });
        Self { links, task: task.abort_handle() }
    }

    /// What there is now, and what comes; it has changed when something relevant has.
    pub fn links(&self) -> watch::Receiver<Arc<Links>> {
        self.links.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What makes it time to look.
trait Signs {
    /// Resolves when there is a sign. It may be of nothing.
    async fn next(&mut self);
    /// Forget the signs that are there already.
    fn forget(&mut self);
}

async fn follow(
    mut signs: impl Signs,
    mut look: impl FnMut() -> io::Result<Links>,
    tell: watch::Sender<Arc<Links>>,
) {
    loop {
        signs.next().await;
        tokio::time::sleep(SETTLE).await;
        signs.forget();
        // Nothing seen is not nothing there: the next sign comes.
        let Ok(links) = look() else { continue };
        let changed = tell.send_if_modified(|known| {
            let changed = **known != links;
            if changed {
                *known = Arc::new(links);
            }
            changed
        });
        if changed {
            tracing::debug!("network changed");
        } else {
            tokio::time::sleep(REST).await;
        }
    }
}

fn look() -> io::Result<Links> {
    Links::look().inspect_err(|error| tracing::debug!(%error, "interfaces not seen"))
}

/// The kernel's messages. To receive, a datagram socket is one like another; this is the type that tokio
/// takes a socket of any family for.
struct Netlink(UnixDatagram);

impl Netlink {
    fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS.cast_unsigned()))?;
        Ok(Self(UnixDatagram::from_std(socket.into())?))
    }
}

/// Messages that the kernel has dropped count as well.
fn is_sign(received: &io::Result<usize>) -> bool {
    match received {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(libc::ENOBUFS),
    }
}

impl Signs for Netlink {
    async fn next(&mut self) {
        if !is_sign(&self.0.recv(&mut [0; 1]).await) {
            // Not expected of this socket; as slow as without it, then.
            tokio::time::sleep(POLL).await;
        }
    }

    fn forget(&mut self) {
        while is_sign(&self.0.try_recv(&mut [0; 1])) {}
    }
}

/// A sign every [`POLL`].
struct Clock;

impl Signs for Clock {
    async fn next(&mut self) {
        tokio::time::sleep(POLL.saturating_sub(SETTLE + REST)).await;
    }

    fn forget(&mut self) {}
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::surroundings::links::Interface;

    /// Signs that a test gives.
    struct Given(mpsc::UnboundedReceiver<()>);

    impl Signs for Given {
        async fn next(&mut self) {
            if self.0.recv().await.is_none() {
                std::future::pending().await
            }
        }

        fn forget(&mut self) {
            while self.0.try_recv().is_ok() {}
        }
    }

    struct Played {
        sign: mpsc::UnboundedSender<()>,
        looks: Arc<AtomicUsize>,
        there: watch::Sender<Links>,
        told: watch::Receiver<Arc<Links>>,
    }

    fn play() -> Played {
        let (sign, signs) = mpsc::unbounded_channel();
        let (tell, told) = watch::channel(Arc::default());
        let (there, seen) = watch::channel(Links::default());
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let look = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(seen.borrow().clone())
        };
        tokio::spawn(follow(Given(signs), look, tell));
        Played { sign, looks, there, told }
    }

    fn plug(links: &mut Links, name: &str) {
        links.interfaces.insert(name.to_owned(), Interface::default());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_messages_is_one_event() {
        let mut played = play();
        for number in 0..50 {
            played.there.send_modify(|links| plug(links, &format!("eth{number}")));
            played.sign.send(()).unwrap();
            tokio::time::sleep(SETTLE / 100).await;
        }
        played.told.changed().await.unwrap();
        assert_eq!(played.told.borrow_and_update().interfaces.len(), 50);
        assert!(timeout(REST * 10, played.told.changed()).await.is_err());
        assert_eq!(played.looks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_chatters_without_a_change_is_looked_at_rarely_and_nobody_is_told() {
        let mut played = play();
        let began = Instant::now();
        while began.elapsed() < REST * 20 {
            played.sign.send(()).unwrap();
            tokio::time::sleep(SETTLE / 10).await;
        }
        assert!(played.looks.load(Ordering::Relaxed) <= 20);
        assert!(!played.told.has_changed().unwrap());
        played.there.send_modify(|links| plug(links, "eth0"));
        played.sign.send(()).unwrap();
        timeout(REST + SETTLE * 2, played.told.changed()).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_kernel_s_word_a_change_is_seen_all_the_same() {
        let (tell, mut told) = watch::channel(Arc::default());
        let mut links = Links::default();
        plug(&mut links, "eth0");
        tokio::spawn(follow(Clock, move || Ok(links.clone()), tell));
        timeout(POLL, told.changed()).await.unwrap().unwrap();
    }
}
