//! What a peer may ask of this node: is it there, and to open a resource.
//!
//! Permission is asked of the ledger when a stream opens and again whenever the ledger grows; a stream
//! whose right has ended is cut at once, and so is a session whose peer is no longer a member. Absent
//! and not granted give the same answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coco_tunnel::channel::Channel;
use coco_tunnel::forward::{self, Broken, Caller, Local};
use coco_tunnel::frame;
use coco_tunnel::session::{Ended, Session};
use coconet::id::NodeId;
use coconet::ledger::{Access, Standing};
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::resource::Kind;
use coconet::rights::Rights;
use coconet::wire::code::{Close, Reset};
use coconet::wire::node::{Reply, Request};
use tokio::task::JoinSet;

use super::Node;
use crate::tunnel::Exposure;

/// Longest time between two looks at the clock while a stream is open whose right ends by it.
const CLOCK_CHECK: Duration = Duration::from_millis(500);

/// Longest wait for the request at the beginning of a stream.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

impl Node {
    /// Serve the streams of a session until it ends.
    pub(super) async fn serve(self: &Arc<Self>, peer: NodeId, session: &Session) -> Ended {
        let mut ledger = self.book.watch();
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                channel = session.accept() => match channel {
                    Ok(channel) => {
                        let node = Arc::clone(self);
                        streams.spawn(async move { node.answer(peer, channel).await });
                    }
                    Err(ended) => return ended,
                },
                Some(_) = streams.join_next(), if !streams.is_empty() => {}
                changed = ledger.changed() => {
                    let standing = self.ledger().state().standing(&session.peer());
                    if changed.is_err() || standing != Standing::Member(peer) {
                        session.close(Close::Revoked);
                        return Ended::Here;
                    }
                }
            }
        }
    }

    async fn answer(self: &Arc<Self>, peer: NodeId, mut channel: Channel) {
        let request = tokio::time::timeout(REQUEST_TIMEOUT, frame::read(&mut channel.rx)).await;
        match request {
            Ok(Ok(Request::Ping)) => {
                self.heard(peer, PathMode::default());
                reply(&mut channel, Reply::Ok).await;
            }
            Ok(Ok(Request::Open { resource, probe })) => {
                self.heard(peer, PathMode::default());
                self.open(peer, &resource, probe, channel).await;
            }
            Ok(Ok(Request::Exchange(resource))) => {
                self.heard(peer, PathMode::default());
                self.exchange(peer, &resource, channel).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(network = %self.name, %peer, %error, "malformed request");
                channel.reset(Reset::Protocol);
            }
            Err(_) => channel.reset(Reset::Protocol),
        }
    }

    async fn open(self: &Arc<Self>, peer: NodeId, resource: &Name, probe: bool, mut channel: Channel) {
        let Some(Permit { exposure, rights, .. }) = self.permitted(peer, resource) else {
            self.refuse(peer, resource, channel).await;
            return;
        };
        let service = exposure.service();
        let Some(_place) = (if probe { exposure.probe(peer) } else { exposure.admit(peer) }) else {
            refuse_more(&mut channel).await;
            return;
        };
        let kind = service.target.kind;
        // The forwarder of RTSP connects when the player asks for something.
        let connects = probe || kind != Kind::Rtsp;
        let local = match if connects { self.connect(&exposure, &mut channel).await } else { Ok(None) } {
            Ok(local) => local,
            Err(Unreachable) => return,
        };
        if probe {
            reply(&mut channel, Reply::Ok).await;
            return;
        }
        if frame::write(&mut channel.tx, &Reply::Ok).await.is_err() {
            return;
        }
        let (right_ends, given_up) = (self.right_ends(peer, resource, &rights), channel.given_up());
        let cut = async {
            tokio::select! {
                code = right_ends => code,
                code = given_up => code,
            }
        };
        let caller = Caller { alias: self.alias(peer), rights: rights.clone() };
        let ended = match (kind, local) {
            (Kind::Rtsp, _) => forward::rtsp::far(service, &caller, channel, cut).await,
            (Kind::Http, Some(local)) => forward::http::far(service, &caller, local, channel, cut).await,
            (Kind::Mqtt, Some(local)) => forward::mqtt::far(service, &caller, local, channel, cut).await,
            (Kind::Tcp, Some(local)) if rights.may("connect") => {
                forward::splice(local, channel, false, &service.meter, cut).await
            }
            (Kind::Tcp, _) => Err(refused(channel, Reset::NotPermitted)),
            (Kind::Udp | Kind::Http | Kind::Mqtt | Kind::Ip, _) => Err(refused(channel, Reset::Unsupported)),
        };
        self.tell_end(peer, resource, &ended);
    }

    /// Exchange datagrams.
    async fn exchange(self: &Arc<Self>, peer: NodeId, resource: &Name, mut channel: Channel) {
        let permit = self.permitted(peer, resource);
        let ip = |permit: &Permit| permit.exposure.service().target.kind == Kind::Ip;
        let permit = match permit {
            Some(permit) if ip(&permit) && permit.rights.may("connect") => {
                self.exchange_packets(peer, permit, channel).await;
                return;
            }
            permit => permit,
        };
        let Some(Permit { exposure, rights, .. }) = permit.filter(|permit| permit.rights.may("exchange"))
        else {
            self.refuse(peer, resource, channel).await;
            return;
        };
        let service = exposure.service();
        if service.target.kind != Kind::Udp && !service.target.udp {
            let reason = "it takes no datagrams";
            reply(&mut channel, Reply::refused(Reset::Unsupported, reason)).await;
            return;
        }
        let Some(_client) = exposure.admit(peer) else {
            refuse_more(&mut channel).await;
            return;
        };
        // Taken before the answer, after which the other end sends.
        let flows = channel.flows();
        if frame::write(&mut channel.tx, &Reply::Ok).await.is_err() {
            return;
        }
        let cut = self.right_ends(peer, resource, &rights);
        let ended = forward::udp::far(service, channel, flows, cut).await;
        self.tell_end(peer, resource, &ended);
    }

    /// A socket to the target, where it takes connections. What stands in the way is told, and that it does.
    async fn connect(
        &self,
        exposure: &Exposure,
        channel: &mut Channel,
    ) -> std::result::Result<Option<Local>, Unreachable> {
        let target = &exposure.service().target;
        let connected = match target.kind {
            Kind::Udp => forward::udp::check(&target.place).await.map(|()| None),
            Kind::Ip => self.links().interface().map(|_| None).ok_or_else(super::ip::no_interface),
            Kind::Tcp | Kind::Http | Kind::Rtsp | Kind::Mqtt => {
                forward::connect(&target.place).await.map(Some)
            }
        };
        match connected {
            Ok(local) => {
                exposure.works();
                Ok(local)
            }
            Err(error) => {
                tracing::debug!(network = %self.name, resource = %exposure.resource(), %error, "target not reachable");
                exposure.failed(&error);
                // The reason, without the target's address: that is nobody else's business.
                reply(channel, Reply::refused(Reset::Unreachable, &describe(&error))).await;
                Err(Unreachable)
            }
        }
    }

    /// What applications behind this node know `peer` by.
    fn alias(&self, peer: NodeId) -> String {
        self.keys().alias(peer)
    }

    async fn refuse(&self, peer: NodeId, resource: &Name, mut channel: Channel) {
        if let Some(left_out) = self.refused.tell(peer, Instant::now()) {
            let message = format!("{resource} to {peer}: not permitted{}", more(left_out));
            self.events.send(Some(&self.name), "refused", message);
        }
        reply(&mut channel, Reply::refused(Reset::NotPermitted, "not permitted")).await;
    }

    pub(super) fn tell_end(&self, peer: NodeId, resource: &Name, ended: &std::result::Result<(), Broken>) {
        // A right ends when others say so, and whatever else a peer brings upon itself as often as it likes.
        if let Err(Broken::Here(code)) = ended
            && let Some(left_out) =
                if *code == Reset::Revoked { Some(0) } else { self.cut.tell(peer, Instant::now()) }
        {
            let message = format!("{resource} to {peer} was cut: {code}{}", more(left_out));
            self.events.send(Some(&self.name), "refused", message);
        }
        tracing::debug!(network = %self.name, %resource, ?ended, "stream ended");
    }

    /// When the ledger says that `resource` is ours and that `peer` may use it now: what of it, and until
    /// when.
    pub(super) fn permitted(&self, peer: NodeId, resource: &Name) -> Option<Permit> {
        let ledger = self.ledger();
        let state = ledger.state();
        let ours = state.resources().get(resource).is_some_and(|known| known.node == self.id());
        let exposure = self.exposures.get(resource).filter(|_| ours)?;
        let rights = state.rights(peer, resource)?;
        match state.access(peer, resource, self.now()) {
            Access::Until(end) => Some(Permit { exposure, rights, end }),
            Access::Denied => None,
        }
    }

    /// Resolves when `peer` may no longer use `resource`, or other parts of it than at the beginning.
    pub(super) async fn right_ends(&self, peer: NodeId, resource: &Name, rights: &Rights) -> Reset {
        let mut ledger = self.book.watch();
        while let Some(Permit { end, .. }) =
            self.permitted(peer, resource).filter(|permit| permit.rights == *rights)
        {
            // The wall clock may be set meanwhile: look at it again now and then.
            let left = end.map_or(CLOCK_CHECK, |end| Duration::from_millis(end.saturating_sub(self.now())));
            tokio::select! {
                changed = ledger.changed() => {
                    if changed.is_err() {
                        return Reset::GoingAway;
                    }
                }
                () = tokio::time::sleep(left.min(CLOCK_CHECK)) => {}
            }
        }
        Reset::Revoked
    }
}

/// What a peer was allowed.
pub(super) struct Permit {
    pub(super) exposure: Arc<Exposure>,
    pub(super) rights: Rights,
    end: Option<u64>,
}

/// The target does not answer, and the peer was told.
struct Unreachable;

pub(super) async fn refuse_more(channel: &mut Channel) {
    reply(channel, Reply::refused(Reset::MaxClients, "as many use it as may at a time")).await;
}

fn refused(mut channel: Channel, code: Reset) -> Broken {
    channel.reset(code);
    Broken::Here(code)
}

pub(super) async fn reply(channel: &mut Channel, reply: Reply) {
    // A peer that has gone needs no answer.
    if frame::write(&mut channel.tx, &reply).await.is_ok() {
        channel.tx.finish();
    }
}

fn more(left_out: u64) -> String {
    match left_out {
        0 => String::new(),
        count => format!(" (and {count} more since the last such line)"),
    }
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::TimedOut => "timed out".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::NotFound => "not found".to_owned(),
        kind => kind.to_string(),
    }
}
