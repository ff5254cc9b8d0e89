//! What a peer may ask of this node: is it there, and to open a resource.
//!
//! Permission is asked of the ledger when a stream opens and again whenever the ledger grows; a stream
//! whose right has ended is cut at once, and so is a session whose peer is no longer a member. Absent
//! and not granted give the same answer.

use std::sync::Arc;
use std::time::Duration;

use coco_tunnel::channel::Channel;
use coco_tunnel::forward::{self, Broken, Counted};
use coco_tunnel::frame;
use coco_tunnel::session::{Ended, Session};
use coconet::id::NodeId;
use coconet::ledger::{Access, Standing};
use coconet::name::Name;
use coconet::path_mode::PathMode;
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
            Ok(Err(error)) => {
                tracing::debug!(network = %self.name, %peer, %error, "malformed request");
                channel.reset(Reset::Protocol);
            }
            Err(_) => channel.reset(Reset::Protocol),
        }
    }

    async fn open(self: &Arc<Self>, peer: NodeId, resource: &Name, probe: bool, mut channel: Channel) {
        let Some((exposure, _)) = self.permitted(peer, resource) else {
            self.events.send(Some(&self.name), "refused", format!("{resource} to {peer}: not permitted"));
            reply(&mut channel, Reply::refused(Reset::NotPermitted, "not permitted")).await;
            return;
        };
        let meter = exposure.meter();
        let local = match forward::connect(exposure.place()).await {
            Ok(local) => local,
            Err(error) => {
                tracing::debug!(network = %self.name, %resource, %error, "target not reachable");
                exposure.failed(&error);
                // The reason, without the target's address: that is nobody else's business.
                reply(&mut channel, Reply::refused(Reset::Unreachable, &describe(&error))).await;
                return;
            }
        };
        exposure.works();
        if probe {
            reply(&mut channel, Reply::Ok).await;
            return;
        }
        if frame::write(&mut channel.tx, &Reply::Ok).await.is_err() {
            return;
        }
        let _counted = Counted::new(meter);
        let ended = forward::splice(local, channel, false, meter, self.right_ends(peer, resource)).await;
        if let Err(Broken::Here(code)) = &ended {
            self.events.send(Some(&self.name), "refused", format!("{resource} to {peer} was cut: {code}"));
        }
        tracing::debug!(network = %self.name, %resource, ?ended, "stream ended");
    }

    /// The exposure of `resource`, when the ledger says that it is ours and that `peer` may use it now,
    /// and until when it may.
    fn permitted(&self, peer: NodeId, resource: &Name) -> Option<(Arc<Exposure>, Option<u64>)> {
        let ledger = self.ledger();
        let ours = ledger.state().resources().get(resource).is_some_and(|known| known.node == self.id());
        let access = ledger.state().access(peer, resource, self.now());
        match (self.exposures.get(resource), access) {
            (Some(exposure), Access::Until(end)) if ours => Some((exposure, end)),
            (Some(_), Access::Until(_) | Access::Denied) | (None, _) => None,
        }
    }

    /// Resolves when `peer` may no longer use `resource`.
    async fn right_ends(&self, peer: NodeId, resource: &Name) -> Reset {
        let mut ledger = self.book.watch();
        while let Some((_, end)) = self.permitted(peer, resource) {
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

async fn reply(channel: &mut Channel, reply: Reply) {
    // A peer that has gone needs no answer.
    if frame::write(&mut channel.tx, &reply).await.is_ok() {
        channel.tx.finish();
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
