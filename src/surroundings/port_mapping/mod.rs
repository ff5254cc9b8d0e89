//! Having the router let packets in.
//!
//! For each UDP port of a node there is one [`PortMapping`]. It asks the default router by PCP, NAT-PMP and
//! UPnP, in this order ([`router`]); renews what it got when half of its time is over; asks again when the
//! machine's links change or somebody [suspects](PortMapping::refresh) that the mapping is gone, and otherwise
//! every [`RETRY`] where there is none. [`PortMapping::release`] gives it back.
//!
//! Many home routers do this, and then other nodes get in without any hole being punched. A router that is
//! itself behind another NAT can only give an address that nobody else can reach: what it gives is handed back.
//!
//! Own code and no crate: the two binary protocols are sixty bytes each, and for the third a crate would bring
//! four times our daemon's HTTP stack, and ask whoever answers.

pub mod nat_pmp;
pub mod pcp;
pub mod router;
pub mod upnp;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::links::Links;
use crate::random;
use router::{Lease, Protocol, Router};

/// Time between two tries where there is no mapping and nothing changes.
pub const RETRY: Duration = Duration::from_secs(30 * 60);

/// Shortest time to the next renewal, whatever the router says.
pub const RENEW_MIN: Duration = Duration::from_secs(60);

/// Shortest time between two tries, whoever asks for them.
pub const PAUSE: Duration = Duration::from_secs(10);

/// Longest wait for the router when a mapping is given back.
pub const RELEASE_WAIT: Duration = Duration::from_secs(1);

/// One port's mapping, kept as long as this is.
#[derive(Debug)]
pub struct PortMapping {
    state: watch::Receiver<State>,
    suspicion: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The router is being asked.
    Asking,
    /// Packets to this address come in.
    Mapped(SocketAddrV4, Means),
    /// The router would, but is behind another NAT, as this address shows.
    Inside(Ipv4Addr, Means),
    /// There is none, for this reason.
    None(String),
}

/// By what protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// PCP.
    Pcp,
    /// NAT-PMP.
    NatPmp,
    /// UPnP.
    Upnp,
}

impl Means {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        }
    }
}

impl PortMapping {
    /// Have UDP `port` mapped by the router that `links` show.
    pub fn keep(port: u16, links: watch::Receiver<Arc<Links>>) -> Self {
        let (tell, state) = watch::channel(State::Asking);
        let (stop, stopped) = oneshot::channel();
        let suspicion = Arc::new(Notify::new());
        let keeper = Keeper { port, links, tell, suspicion: Arc::clone(&suspicion) };
        Self { state, suspicion, stop: Some(stop), task: tokio::spawn(keeper.run(stopped)) }
    }

    /// How it stands, whenever that changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Something is strange, and the mapping may be gone: ask again.
    pub fn refresh(&self) {
        self.suspicion.notify_one();
    }

    /// Give it back; the router gets [`RELEASE_WAIT`].
    pub async fn release(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(RELEASE_WAIT, &mut self.task).await;
    }
}

impl Drop for PortMapping {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper {
    port: u16,
    links: watch::Receiver<Arc<Links>>,
    tell: watch::Sender<State>,
    suspicion: Arc<Notify>,
}

impl Keeper {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let Ok(nonce) = random::bytes() else { return };
        let mut held: Option<(Router, Lease)> = None;
        loop {
            let gateway = self.links.borrow_and_update().gateway;
            let asked = Instant::now();
            let next = match gateway {
                None => {
                    held = None;
                    self.say(State::None("there is no IPv4 router".to_owned()));
                    RETRY
                }
                Some(gateway) => {
                    let router = Router { gateway, port: self.port, nonce };
                    // What another router gave went with it.
                    held.take_if(|(before, _)| before.gateway != gateway);
                    let wish = held.as_ref().map(|(_, lease)| lease.external);
                    tokio::select! {
                        mapped = router.map(wish) => match mapped {
                            Ok(lease) => self.judge(router, lease, &mut held).await,
                            Err(error) => {
                                held = None;
                                self.say(State::None(error.to_string()));
                                RETRY
                            }
                        },
                        _ = &mut stopped => break,
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                Ok(()) = self.links.changed() => {}
                () = self.suspicion.notified() => {}
                _ = &mut stopped => break,
            }
            tokio::select! {
                () = sleep_until(asked + PAUSE) => {}
                _ = &mut stopped => break,
            }
        }
        if let Some((router, lease)) = held {
            router.release(&lease).await;
        }
    }

    /// Take what a router gave, or give it back; when to ask again.
    async fn judge(&self, router: Router, lease: Lease, held: &mut Option<(Router, Lease)>) -> Duration {
        let means = match lease.protocol {
            Protocol::Pcp => Means::Pcp,
            Protocol::NatPmp => Means::NatPmp,
            Protocol::Upnp(_) => Means::Upnp,
        };
        if !is_public(*lease.external.ip()) || lease.external.port() == 0 {
            self.say(State::Inside(*lease.external.ip(), means));
            router.release(&lease).await;
            *held = None;
            return RETRY;
        }
        let next = (lease.lifetime / 2).clamp(RENEW_MIN, router::LIFETIME / 2);
        self.say(State::Mapped(lease.external, means));
        *held = Some((router, lease));
        next
    }

    fn say(&self, state: State) {
        self.tell.send_if_modified(|told| {
            let news = *told != state;
            if news {
                tracing::debug!(port = self.port, ?state, "port mapping");
                *told = state;
            }
            news
        });
    }
}

/// Whether packets from anywhere can reach that address.
pub fn is_public(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // RFC 6598: what carriers use inside.
    let shared = a == 100 && (64..128).contains(&b);
    let special = a == 0 || a >= 224 || ip.is_loopback() || ip.is_link_local();
    !special && !shared && !ip.is_private()
}

#[cfg(test)]
mod tests;
