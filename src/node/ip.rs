//! IP packets to and from other nodes, by this node's own address.
//!
//! A packet that an application sends to another node's address begins an exchange with the `ip` resource
//! of that node, if the ledger says that there is one for us; what the other node sends comes back by it.
//! Others begin exchanges with a resource of ours ([`Node::exchange_packets`]). The packets themselves are judged
//! in [`coco_tunnel::forward::ip`].
//!
//! An exchange that broke is begun again while a conversation may still go on by it: whoever waits at the other
//! end for output of this one cannot begin it.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coco_tunnel::forward::ip::{Interface, Links, Outgoing, Refusal, Sent, Trouble};
use coco_tunnel::forward::{Broken, opened};
use coco_tunnel::{channel::Channel, frame};
use coconet::address;
use coconet::control::facts::IpFacts;
use coconet::control::{Facts, Tunnel};
use coconet::id::NodeId;
use coconet::ledger::{Access, State};
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::resource::Kind;
use coconet::wire::code::Reset;
use coconet::wire::node::{Reply, Request};

use super::serve::{Permit, refuse_more, reply};
use super::{Node, peers};
use crate::tunnel::Exposure;

/// First pause before an exchange that broke is begun again.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// What a resource says while nothing takes packets here.
pub(crate) const NO_INTERFACE: &str = "this daemon has no interface for packets";

impl Node {
    /// The exchanges of packets.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Give packets that come to that interface; false when another one takes them.
    pub fn attach(&self, interface: &Arc<Interface>) -> bool {
        let attached = self.links.attach(interface);
        if attached {
            self.ip_exposures().for_each(|exposure| exposure.works());
        }
        attached
    }

    /// Give it no more packets.
    pub fn detach(&self, interface: &Arc<Interface>) {
        self.links.detach(interface);
        if self.links.interface().is_none() {
            self.ip_exposures().for_each(|exposure| exposure.failed(&no_interface()));
        }
    }

    /// What a list says of packets; nothing where there are none.
    pub(super) fn ip_facts(&self) -> Option<IpFacts> {
        let concerned = self.links.interface().is_some() || self.ip_exposures().next().is_some();
        concerned.then(|| {
            let ledger = self.ledger();
            let state = ledger.state();
            self.links.facts(|peer| {
                let ids = state.nodes().iter();
                let mut known = ids.filter(|(id, _)| address::of(self.network, **id) == peer);
                known.next().map(|(_, node)| node.name.clone())
            })
        })
    }

    /// What a list says of what is exposed here.
    pub(crate) fn exposure_status(&self, exposure: &Exposure) -> Tunnel {
        let tunnel = exposure.status(&self.name);
        match exposure.service().target.kind {
            Kind::Ip => match self.ip_facts() {
                // They are the node's, not the exposure's: there is one address.
                Some(facts) => Tunnel {
                    bytes_in: facts.bytes_in,
                    bytes_out: facts.bytes_out,
                    facts: Some(Facts::Ip(facts)),
                    ..tunnel
                },
                None => tunnel,
            },
            Kind::Tcp | Kind::Udp | Kind::Http | Kind::Rtsp | Kind::Mqtt => tunnel,
        }
    }

    /// Send a packet of an application.
    pub fn send_packet(
        self: &Arc<Self>,
        now: Instant,
        outgoing: Outgoing<'_>,
    ) -> std::result::Result<(), Trouble> {
        let to = outgoing.packet.destination;
        let may_begin = || self.node_at(to).is_some_and(|peer| self.takes_from(peer));
        let sent = match self.links.send(now, outgoing, may_begin) {
            Sent::Begin => self.begin(now, outgoing),
            sent => sent,
        };
        match sent {
            Sent::Trouble(trouble) => Err(trouble),
            Sent::Done | Sent::Begin => Ok(()),
        }
    }

    fn begin(self: &Arc<Self>, now: Instant, outgoing: Outgoing<'_>) -> Sent {
        let to = outgoing.packet.destination;
        match self.whose(to) {
            Ok((peer, resource)) => {
                if !self.links.begin(now, to, Some(outgoing.frame)) {
                    return self.links.refused(Refusal::Unreachable);
                }
                self.spawn(|node| async move { node.keep_exchange(peer, &resource, to).await });
                Sent::Done
            }
            Err(refusal) => self.links.refused(refusal),
        }
    }

    /// The node with that address, and its resource that we may use now. Who may not see everything cannot tell
    /// an address that is nobody's from one that is not granted.
    fn whose(&self, to: Ipv6Addr) -> std::result::Result<(NodeId, Name), Refusal> {
        let ledger = self.ledger();
        let state = ledger.state();
        let there = self.node_at(to);
        let mut offered = ip_resources(state).filter(|(_, node)| Some(*node) == there).peekable();
        if offered.peek().is_none() {
            return Err(if state.uses_all(self.id()) { Refusal::NoRoute } else { Refusal::NotPermitted });
        }
        let usable = |name: &Name| {
            let may = state.rights(self.id(), name).is_some_and(|rights| rights.may("connect"));
            may && matches!(state.access(self.id(), name, self.now()), Access::Until(_))
        };
        let usable = offered.find(|(name, _)| usable(name));
        usable.map(|(name, node)| (node, name.clone())).ok_or(Refusal::NotPermitted)
    }

    /// Exchange packets with `peer` for as long as that is of use.
    async fn keep_exchange(self: Arc<Self>, peer: NodeId, resource: &Name, to: Ipv6Addr) {
        let mut pause = RETRY_FIRST;
        let mut stood = false;
        loop {
            match self.begin_exchange(peer, resource).await {
                Ok((channel, link)) => {
                    (pause, stood) = (RETRY_FIRST, true);
                    let may_begin = || self.takes_from(peer);
                    let ended = self.links.carry(&link, channel, may_begin, std::future::pending()).await;
                    self.links.remove(&link);
                    tracing::debug!(network = %self.name, %peer, ?ended, "exchange of packets ended");
                    // Whoever ended it has meant it, and what was sent meanwhile may begin another one.
                    let lost = matches!(ended, Err(Broken::Channel(coco_tunnel::channel::Cut::Lost)));
                    if !lost || !self.links.awaits(Instant::now(), to) {
                        return;
                    }
                }
                Err(refusal) => {
                    tracing::debug!(network = %self.name, %peer, ?refusal, "no packets exchanged");
                    self.links.fail(Instant::now(), to, refusal);
                    // Conversations are over one day, and then nobody wants it back.
                    let awaited = stood && self.links.awaits(Instant::now(), to);
                    if !awaited || refusal != Refusal::Unreachable {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
            if !self.links.begin(Instant::now(), to, None) || self.whose(to).is_err() {
                self.links.fail(Instant::now(), to, Refusal::Unreachable);
                return;
            }
        }
    }

    async fn begin_exchange(
        self: &Arc<Self>,
        peer: NodeId,
        resource: &Name,
    ) -> std::result::Result<(Channel, Arc<coco_tunnel::forward::ip::Link>), Refusal> {
        let unreachable = |_| Refusal::Unreachable;
        let mode = PathMode::default();
        let session = self.proved_session(peer, mode).await.map_err(unreachable)?;
        let request = Request::Exchange(resource.clone());
        let mut channel = peers::request(&session, &request).await.map_err(unreachable)?;
        // Taken before the answer, after which the other end sends.
        let flows = channel.flows();
        opened(&mut channel.rx).await.map_err(|broken| match broken {
            Broken::Refused { code: Reset::NotPermitted | Reset::Revoked, .. } => Refusal::NotPermitted,
            Broken::Refused { .. } | Broken::Local(_) | Broken::Channel(_) | Broken::Here(_) => {
                Refusal::Unreachable
            }
        })?;
        self.heard(peer, mode);
        let there = address::of(self.network, peer);
        let link = self.links.add(Instant::now(), there, flows, true, || self.takes_from(peer));
        Ok((channel, link))
    }

    /// The node with that address.
    fn node_at(&self, address: Ipv6Addr) -> Option<NodeId> {
        self.addresses.node(self.network, &self.ledger(), address)
    }

    /// Whether `peer` may send packets that nobody here asked for: by a resource of ours.
    fn takes_from(&self, peer: NodeId) -> bool {
        self.ip_exposures().any(|exposure| {
            let permit = self.permitted(peer, exposure.resource());
            permit.is_some_and(|permit| permit.rights.may("connect"))
        })
    }

    /// Exchange packets by a resource of ours.
    pub(super) async fn exchange_packets(&self, peer: NodeId, permit: Permit, mut channel: Channel) {
        let Permit { exposure, rights, .. } = permit;
        let resource = exposure.resource();
        let Some(_client) = exposure.admit(peer) else {
            refuse_more(&mut channel).await;
            return;
        };
        if self.links.interface().is_none() {
            exposure.failed(&no_interface());
            reply(&mut channel, Reply::refused(Reset::Unreachable, NO_INTERFACE)).await;
            return;
        }
        // Taken before the answer, after which the other end sends.
        let flows = channel.flows();
        if frame::write(&mut channel.tx, &Reply::Ok).await.is_err() {
            return;
        }
        let from = address::of(self.network, peer);
        let link = self.links.add(Instant::now(), from, flows, false, || true);
        let cut = self.right_ends(peer, resource, &rights);
        let ended = self.links.carry(&link, channel, || true, cut).await;
        self.links.remove(&link);
        self.tell_end(peer, resource, &ended);
    }

    fn ip_exposures(&self) -> impl Iterator<Item = Arc<Exposure>> {
        let exposures = self.exposures.all().into_iter();
        exposures.filter(|exposure| exposure.service().target.kind == Kind::Ip)
    }

    /// The own address of a node that takes packets to it.
    pub(super) fn address_of(&self, state: &State, node: NodeId) -> Option<Ipv6Addr> {
        let takes = ip_resources(state).any(|(_, offering)| offering == node);
        takes.then(|| address::of(self.network, node))
    }
}

/// Why an exposure of packets does not work.
pub(crate) fn no_interface() -> std::io::Error {
    let hint = "set host = true under [ip] in its configuration";
    std::io::Error::other(format!("{NO_INTERFACE}: {hint}"))
}

fn ip_resources(state: &State) -> impl Iterator<Item = (&Name, NodeId)> {
    let resources = state.resources().iter().filter(|(_, resource)| resource.kind == Kind::Ip);
    resources.map(|(name, resource)| (name, resource.node))
}
