//! One session: a client that has proved its key and opens a stream for each request.
//!
//! Streams are served side by side, [`SESSION_STREAMS_MAX`] at a time and not faster than the bucket
//! allows; what is beyond waits unread. Every wait on the client has an end. When the desk says that the
//! node was removed, streams get [`REVOKE_GRACE`] to deliver what they have, then the session is closed
//! as revoked.

use std::pin::pin;
use std::sync::Arc;

use coco_tunnel::channel::{Channel, ChannelRx, ChannelTx};
use coco_tunnel::endpoint::Endpoint;
use coco_tunnel::frame::{self, FrameError};
use coco_tunnel::paths::Drive;
use coco_tunnel::session::Session;
use coco_tunnel::socket::Place;
use coconet::id::NetworkId;
use coconet::ledger::{Entry, Removal, view};
use coconet::wire::code::{Close, Reset};
use coconet::wire::manager::{HEAD_DOMAIN, HEAD_EXPORT_LABEL, Request, Response, failed};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::counters::{Counters, Refusal};
use crate::desk::{Answer, Message, Peer, Pushes};
use crate::limits::{
    FETCH_PAGE_BYTES, REQUEST_BURST, REQUEST_INTERVAL, REQUEST_TIMEOUT, REVOKE_GRACE, SESSION_IDLE,
    SESSION_STREAMS_MAX, STALL_TIMEOUT,
};
use crate::network::{Head, not_a_member, refuse};
use crate::presence::SessionId;
use crate::probe::Probe;
use crate::storage::Range;
use crate::storage::thread::StorageHandle;
use crate::whereabouts::Whereabouts;

/// What every session needs.
#[derive(Debug, Clone)]
pub(crate) struct House {
    pub(crate) desk: mpsc::Sender<Message>,
    pub(crate) storage: StorageHandle,
    pub(crate) counters: Arc<Counters>,
    pub(crate) endpoint: Endpoint,
    pub(crate) probe: Arc<Probe>,
}

/// Serve `session` until it ends.
pub(crate) async fn serve(session: Session, id: SessionId, house: House) {
    let (revoke, revoked) = watch::channel(false);
    let arrived = Message::Arrived { id, session: session.clone(), revoked: revoke };
    if house.desk.send(arrived).await.is_err() {
        return;
    }
    let close = tokio::select! {
        close = streams(&session, id, &house, revoked) => close,
        // The session is over.
        () = session.drive(Drive::following()) => Close::Done,
    };
    session.close(close);
    // Only a desk that has gone does not hear it.
    drop(house.desk.send(Message::Left { session: id }).await);
}

async fn streams(
    session: &Session,
    id: SessionId,
    house: &House,
    mut revoked: watch::Receiver<bool>,
) -> Close {
    let mut serving = JoinSet::new();
    let mut bucket = Bucket::new(Instant::now());
    let mut idle_since = Instant::now();
    let Some(mut place) = Whereabouts::of(session, &house.endpoint) else { return Close::Done };
    for number in 0.. {
        let channel = loop {
            let turn = async {
                sleep_until(bucket.free_at()).await;
                session.accept().await
            };
            tokio::select! {
                _ = revoked.changed() => return last_words(serving).await,
                Some(_) = serving.join_next(), if !serving.is_empty() => idle_since = Instant::now(),
                channel = turn, if serving.len() < SESSION_STREAMS_MAX => break channel,
                () = sleep_until(idle_since + SESSION_IDLE), if serving.is_empty() => return Close::Done,
            }
        };
        let Ok(channel) = channel else { return Close::Done };
        place = Whereabouts::of(session, &house.endpoint).unwrap_or(place);
        bucket.take(Instant::now());
        let peer = Peer { session: id, stream: number, key: session.peer(), place };
        let stream =
            Stream { session: session.clone(), peer, house: house.clone(), revoked: revoked.clone() };
        serving.spawn(stream.serve(channel));
    }
    Close::Done
}

async fn last_words(mut serving: JoinSet<()>) -> Close {
    let all = async { while serving.join_next().await.is_some() {} };
    drop(timeout(REVOKE_GRACE, all).await);
    Close::Revoked
}

/// One stream and what is needed to serve it.
struct Stream {
    session: Session,
    peer: Peer,
    house: House,
    revoked: watch::Receiver<bool>,
}

impl Stream {
    async fn serve(self, channel: Channel) {
        let Channel { mut tx, mut rx, .. } = channel;
        let request = match timeout(REQUEST_TIMEOUT, frame::read(&mut rx)).await {
            Ok(Ok(request)) => request,
            Ok(Err(FrameError::Malformed(_))) => {
                self.count(Refusal::Protocol, "malformed request");
                let refusal = refuse(failed::PROTOCOL, "malformed request");
                drop(self.send(&mut tx, &refusal).await);
                return finish(tx).await;
            }
            Ok(Err(FrameError::Ended | FrameError::Cut(_) | FrameError::TooLong)) | Err(_) => {
                self.count(Refusal::Protocol, "no request came");
                return tx.reset(Reset::Protocol);
            }
        };
        match self.answer(request, &mut tx, &mut rx).await {
            Ok(()) => finish(tx).await,
            Err(error) => {
                tracing::debug!(peer = %self.peer.key, %error, "an answer was not taken");
                tx.reset(Reset::GoingAway);
            }
        }
    }

    async fn answer(
        &self,
        request: Request,
        tx: &mut ChannelTx,
        rx: &mut ChannelRx,
    ) -> Result<(), FrameError> {
        let network = match &request {
            Request::Register { network, .. } => Some(*network),
            Request::Head { .. }
            | Request::Append(_)
            | Request::Fetch { .. }
            | Request::Dial { .. }
            | Request::Presence { .. }
            | Request::Usage { .. }
            | Request::Probe { .. } => None,
        };
        let token = match &request {
            Request::Probe { token, .. } => Some(*token),
            Request::Register { .. }
            | Request::Head { .. }
            | Request::Append(_)
            | Request::Fetch { .. }
            | Request::Dial { .. }
            | Request::Presence { .. }
            | Request::Usage { .. } => None,
        };
        match self.ask(request).await {
            Answer::Messages(messages) => {
                for message in &messages {
                    self.send(tx, message).await?;
                }
                Ok(())
            }
            Answer::Probe { time } => {
                // Inside TLS there is no address to knock at.
                let address = self.session.place().and_then(Place::direct);
                let port = token.zip(address).and_then(|(token, to)| self.house.probe.knock(to, token));
                let port = port.or_else(|| self.house.probe.port());
                self.send(tx, &Response::Probed { time, port }).await
            }
            Answer::Newest { network, seq } => {
                let answer = self.stamped(network, seq).await;
                self.send(tx, &answer).await
            }
            Answer::Entries { network, from, head, guest: None } => {
                self.entries(tx, network, from, head).await
            }
            Answer::Entries { network, from, head, guest: Some(guest) } => {
                self.viewed_entries(tx, network, from, head, |all| view::views(all, &guest)).await
            }
            Answer::Farewell { network, from, removal } => self.farewell(tx, network, from, removal).await,
            Answer::Registered { first, pushes } => {
                let served = async {
                    self.send(tx, &first).await?;
                    let Some(pushes) = pushes else { return Ok(()) };
                    self.push(tx, rx, network, pushes).await
                };
                let served = served.await;
                let (session, stream) = (self.peer.session, self.peer.stream);
                drop(self.house.desk.send(Message::Unregistered { session, stream }).await);
                served
            }
        }
    }

    async fn ask(&self, request: Request) -> Answer {
        if !self.proven(&request) {
            self.count(Refusal::NotAMember, "a proof does not hold");
            return Answer::Messages(vec![not_a_member()]);
        }
        let (reply, answer) = oneshot::channel();
        let asked = Message::Ask { peer: self.peer, request: Box::new(request), reply };
        let gone = || Answer::Messages(vec![refuse(failed::BUSY, "the manager is going down")]);
        if self.house.desk.send(asked).await.is_err() {
            return gone();
        }
        answer.await.unwrap_or_else(|_| gone())
    }

    /// Whether the asker holds the secret of the invite that it names. The same work is done whether or
    /// not there is such an invite.
    fn proven(&self, request: &Request) -> bool {
        match request {
            Request::Head { invite, proof, .. } => {
                let value = self.session.export(HEAD_EXPORT_LABEL);
                coconet::key::verify(&invite.0, HEAD_DOMAIN, &value, proof).is_ok()
            }
            Request::Append(_)
            | Request::Fetch { .. }
            | Request::Register { .. }
            | Request::Dial { .. }
            | Request::Presence { .. }
            | Request::Usage { .. }
            | Request::Probe { .. } => true,
        }
    }

    async fn stored(&self, network: NetworkId, seq: u64) -> Option<Entry> {
        let range = Range { from: seq, last: seq, bytes: 0 };
        let page = self.house.storage.read(network, range).await.ok()?;
        Entry::from_bytes(page.first()?).ok()
    }

    async fn stamped(&self, network: NetworkId, seq: u64) -> Response {
        let entry = self.stored(network, seq).await;
        entry.map_or_else(|| self.unreadable(), |entry| Response::Stamped(Box::new(entry)))
    }

    async fn entries(
        &self,
        tx: &mut ChannelTx,
        network: NetworkId,
        from: u64,
        head: Head,
    ) -> Result<(), FrameError> {
        let mut next = from;
        while next <= head.seq {
            let range = Range { from: next, last: head.seq, bytes: FETCH_PAGE_BYTES };
            let page = self.house.storage.read(network, range).await.unwrap_or_default();
            if page.is_empty() {
                let refusal = self.unreadable();
                return self.send(tx, &refusal).await;
            }
            next += page.len() as u64;
            for entry in page {
                self.send(tx, &Response::Entry(entry)).await?;
            }
        }
        let view = Some(view::digest([]));
        self.send(tx, &Response::Head { seq: head.seq, head: head.head, view }).await
    }

    /// The same for a node that was removed, up to the entry that says so: it need not take our word for it.
    async fn farewell(
        &self,
        tx: &mut ChannelTx,
        network: NetworkId,
        from: u64,
        removal: Removal,
    ) -> Result<(), FrameError> {
        let Some(last) = self.stored(network, removal.seq).await else {
            let refusal = self.unreadable();
            return self.send(tx, &refusal).await;
        };
        let head = Head { seq: removal.seq, head: last.hash() };
        match removal.guest {
            None => self.entries(tx, network, from, head).await,
            Some(guest) => {
                self.viewed_entries(tx, network, from, head, |all| view::last_views(all, &guest)).await
            }
        }
    }

    /// The same for a guest: what it may see depends on the whole ledger.
    async fn viewed_entries(
        &self,
        tx: &mut ChannelTx,
        network: NetworkId,
        from: u64,
        head: Head,
        views: impl FnOnce(&[Entry]) -> Vec<bool>,
    ) -> Result<(), FrameError> {
        let mut entries: Vec<Entry> = Vec::new();
        while (entries.len() as u64) <= head.seq {
            let range = Range { from: entries.len() as u64, last: head.seq, bytes: FETCH_PAGE_BYTES };
            let page = self.house.storage.read(network, range).await.unwrap_or_default();
            let before = entries.len();
            entries.extend(page.iter().map_while(|bytes| Entry::from_bytes(bytes).ok()));
            if entries.len() == before {
                let refusal = self.unreadable();
                return self.send(tx, &refusal).await;
            }
        }
        let seen = views(&entries);
        let mut withheld = Vec::new();
        for (mut entry, seen) in entries.into_iter().zip(seen) {
            if !seen {
                withheld.push(entry.stamp.seq);
                entry.draft.body = None;
            }
            if entry.stamp.seq >= from {
                self.send(tx, &Response::Entry(entry.to_bytes())).await?;
            }
        }
        let view = Some(view::digest(withheld));
        self.send(tx, &Response::Head { seq: head.seq, head: head.head, view }).await
    }

    /// Tell the node of every new head, ring and warning until it goes, and take its new addresses.
    async fn push(
        &self,
        tx: &mut ChannelTx,
        rx: &mut ChannelRx,
        network: Option<NetworkId>,
        Pushes { mut heads, mut replaced, mut notices }: Pushes,
    ) -> Result<(), FrameError> {
        let mut revoked = self.revoked.clone();
        loop {
            // A frame may be half read when a head moves, so one read lasts until its frame is there.
            let mut read = pin!(frame::read::<Request>(rx));
            let request = loop {
                tokio::select! {
                    request = &mut read => break request,
                    moved = heads.changed() => {
                        if moved.is_err() {
                            return Ok(());
                        }
                        self.send_head(tx, &mut heads).await?;
                    }
                    Some(notice) = notices.recv() => self.send(tx, &notice).await?,
                    _ = revoked.changed() => return self.send_head(tx, &mut heads).await,
                    Ok(_) = replaced.changed() => {
                        let message = "another session with this node's keys has registered";
                        return self.send(tx, &refuse(failed::CLONED, message)).await;
                    }
                }
            };
            let request = match request {
                Ok(request) => request,
                Err(FrameError::Ended) => return Ok(()),
                Err(error @ (FrameError::Cut(_) | FrameError::Malformed(_) | FrameError::TooLong)) => {
                    return Err(error);
                }
            };
            let same =
                matches!(&request, Request::Register { network: again, .. } if Some(*again) == network);
            if !same {
                self.count(Refusal::Protocol, "another request on a registered stream");
                let refusal = refuse(failed::PROTOCOL, "only register again on this stream");
                return self.send(tx, &refusal).await;
            }
            match self.ask(request).await {
                Answer::Registered { first, .. } => self.send(tx, &first).await?,
                Answer::Messages(messages) => {
                    for message in &messages {
                        self.send(tx, message).await?;
                    }
                    return Ok(());
                }
                Answer::Newest { .. }
                | Answer::Entries { .. }
                | Answer::Farewell { .. }
                | Answer::Probe { .. } => return Ok(()),
            }
        }
    }

    async fn send_head(
        &self,
        tx: &mut ChannelTx,
        heads: &mut watch::Receiver<Head>,
    ) -> Result<(), FrameError> {
        let Head { seq, head } = *heads.borrow_and_update();
        self.send(tx, &Response::Head { seq, head, view: None }).await
    }

    async fn send(&self, tx: &mut ChannelTx, message: &Response) -> Result<(), FrameError> {
        match timeout(STALL_TIMEOUT, frame::write(tx, message)).await {
            Ok(written) => written,
            Err(_) => Err(FrameError::Ended),
        }
    }

    fn unreadable(&self) -> Response {
        self.count(Refusal::Storage, "an entry could not be read");
        refuse(failed::STORAGE, "the manager could not read its disk")
    }

    fn count(&self, kind: Refusal, what: &str) {
        if self.house.counters.refuse(kind) {
            tracing::info!(peer = %self.peer.key, what, "refused");
        }
    }
}

/// End a stream and wait until the client has it all, so that closing the session next loses nothing.
async fn finish(mut tx: ChannelTx) {
    tx.finish();
    drop(timeout(STALL_TIMEOUT, tx.stopped()).await);
}

/// Requests a session may make now: a burst, and one more each [`REQUEST_INTERVAL`].
struct Bucket {
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// When the next request may be taken; in the past when now.
    fn free_at(&self) -> Instant {
        let depth = REQUEST_INTERVAL * (REQUEST_BURST - 1);
        self.full_at.checked_sub(depth).unwrap_or(self.full_at)
    }

    fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + REQUEST_INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_one_each_interval() {
        // Not at the machine's beginning of time, where nothing can be subtracted.
        let start = Instant::now() + REQUEST_INTERVAL * REQUEST_BURST * 2;
        let mut bucket = Bucket::new(start);
        for _ in 0..REQUEST_BURST {
            assert!(bucket.free_at() <= start);
            bucket.take(start);
        }
        assert_eq!(bucket.free_at(), start + REQUEST_INTERVAL);
        let later = start + REQUEST_INTERVAL * REQUEST_BURST * 2;
        bucket.take(later);
        assert!(bucket.free_at() < later, "an idle session has its burst again");
    }
}
