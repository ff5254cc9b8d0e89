//! Messages from one side to the other and back: the same at both ends of a tunnel.
//!
//! [`run`] drives two directions side by side. *Asking* takes requests from the client's side: a head is read
//! whole, judged, perhaps changed, and sent on; its body follows as it comes. For each request it leaves a [`Turn`]
//! in a queue, before the request's first byte is sent. *Answering* takes the turns in their order and reads the
//! responses that belong to them, so it knows for each how its body ends. A response without a turn
//! belongs to nobody, and ends the connection.
//!
//! A refusal is a turn as well: it is given after all responses that came before it, and is the last one. A body
//! that turns out malformed when a part of it has gone is answered at once if nothing of a
//! response has been sent, because the target may wait for the rest of the body for ever.
//!
//! A request for another protocol holds the asking direction: what the client has sent behind it is not
//! forwarded before the response is there. After 101 it is forwarded as it is, like all that follows in both
//! directions; after any other response it is the next request, and judged like one.
//!
//! After the last response the client's side gets [`LINGER`] to hang up, while what it still sends is read
//! and thrown away: a socket closed with unread bytes takes the response back.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use coconet::wire::code::Reset;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::super::Broken;
use super::counters::Counters;
use super::ends::{Sink, Source};
use super::framing::{Body, Framing};
use super::head::{Asked, Request, Response};
use super::inflow::{Inflow, Stop};
use super::refusal::Refusal;

/// Longest time from a head's first byte to its last.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time a connection is kept with nothing asked. Targets hang up sooner as a rule; this is for those
/// that never do.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// Longest time to go on reading from a client that has its last response.
pub const LINGER: Duration = Duration::from_secs(2);

/// Requests on one connection that wait for their responses; the next one is not read before.
pub const PIPELINE_MAX: usize = 32;

/// What one end does to messages.
pub(super) trait Policy: Sync {
    /// The head to send on, or why the request is not sent.
    fn request(&self, request: &Request) -> Result<Bytes, Refusal>;

    /// The head to send back.
    fn response(&self, response: &Response, asked: &Asked) -> Bytes;

    /// Where things are counted.
    fn counters(&self) -> &Counters;
}

/// What the next response belongs to.
enum Turn {
    /// A request that was sent on, and who waits to hear whether the protocol has changed.
    Asked(Asked, Option<oneshot::Sender<()>>),
    /// One that was not, and whether it was a HEAD.
    Refused(Refusal, bool),
}

/// How the answering direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    /// There is nothing more to say.
    All,
    /// Another protocol was spoken to its end.
    Upgraded,
}

/// The answering direction.
struct Answers<'a, S, K, P> {
    inflow: Inflow<S>,
    sink: K,
    policy: &'a P,
    /// A part of a response has been sent.
    begun: bool,
}

/// Forward requests from `client` to `server` and responses back, until it is over.
pub(super) async fn run<P: Policy>(
    policy: &P,
    client: (impl Source, impl Sink),
    server: (impl Source, impl Sink),
) -> Result<(), Broken> {
    let (turns, mut queue) = mpsc::channel(PIPELINE_MAX);
    let (violate, violated) = oneshot::channel();
    let mut answers = Answers { inflow: Inflow::new(server.0), sink: client.1, policy, begun: false };
    let mut asking = pin!(ask(policy, Inflow::new(client.0), server.1, turns, violate));
    let mut answering = pin!(async {
        tokio::select! {
            answered = answers.answer(&mut queue) => answered,
            Ok(refusal) = violated => answers.refuse(refusal, false).await,
        }
    });
    let mut asked = false;
    loop {
        tokio::select! {
            ended = &mut asking, if !asked => {
                ended?;
                asked = true;
            }
            answered = &mut answering => {
                match &answered {
                    Ok(Answered::Upgraded) if !asked => asking.await?,
                    // Too slow to hang up is no failure of what was forwarded.
                    Ok(Answered::All) | Err(Broken::Refused { .. }) if !asked => {
                        let _ = timeout(LINGER, asking).await;
                    }
                    Ok(_) | Err(_) => {}
                }
                return answered.map(|_| ());
            }
        }
    }
}

/// The asking direction. It fails only when the client's side breaks.
async fn ask<S: Source, K: Sink, P: Policy>(
    policy: &P,
    mut inflow: Inflow<S>,
    mut sink: K,
    turns: mpsc::Sender<Turn>,
    violate: oneshot::Sender<Refusal>,
) -> Result<(), Broken> {
    loop {
        if !inflow.fill().await? {
            // A target that is gone already needs no end.
            let _ = sink.finish();
            return Ok(());
        }
        let head =
            timeout(HEAD_TIMEOUT, inflow.head()).await.unwrap_or(Err(Stop::Refused(Refusal::SlowHead)));
        let judged = match head {
            Ok(Some(bytes)) => judge(policy, bytes),
            Ok(None) | Err(Stop::Truncated | Stop::Sink(_)) => continue,
            Err(Stop::Source(broken)) => return Err(broken),
            Err(Stop::Refused(refusal)) => Err((refusal, false)),
        };
        let (request, head) = match judged {
            Ok(judged) => judged,
            Err((refusal, is_head)) => {
                policy.counters().refuse(refusal);
                // Where answering is over, nobody is there to be told.
                let _ = turns.send(Turn::Refused(refusal, is_head)).await;
                drop(turns);
                inflow.drain().await?;
                // The other end has done nothing wrong: it sees an end, not a break.
                let _ = sink.finish();
                return Ok(());
            }
        };
        policy.counters().requested();
        let (switch, switched) = oneshot::channel();
        let turn = Turn::Asked(request.asked(), request.upgrade.then_some(switch));
        if turns.send(turn).await.is_err() {
            return inflow.drain().await;
        }
        match inflow.pass(head, &mut Body::new(request.framing), &mut sink).await {
            Ok(()) => {}
            Err(Stop::Truncated) => continue,
            Err(Stop::Source(broken)) => return Err(broken),
            // The target may have answered before it hung up.
            Err(Stop::Sink(_)) => {
                drop(turns);
                return inflow.drain().await;
            }
            Err(Stop::Refused(refusal)) => {
                policy.counters().refuse(refusal);
                let _ = violate.send(refusal);
                return inflow.drain().await;
            }
        }
        if request.upgrade && switched.await.is_ok() {
            return copy(&mut inflow, &mut sink).await;
        }
    }
}

impl<S: Source, K: Sink, P: Policy> Answers<'_, S, K, P> {
    async fn answer(&mut self, queue: &mut mpsc::Receiver<Turn>) -> Result<Answered, Broken> {
        let mut next = match self.opened(queue).await? {
            Ok(next) => next,
            Err(answered) => return Ok(answered),
        };
        loop {
            let turn = match next.take() {
                Some(turn) => Some(turn),
                None => self.turn(queue).await?,
            };
            match turn {
                // Nobody asks any more, nothing was asked for long, or the target has hung up.
                None => return self.over(),
                Some(Turn::Refused(refusal, is_head)) => return self.refuse(refusal, is_head).await,
                Some(Turn::Asked(asked, switch)) => {
                    if let Some(answered) = self.respond(&asked, switch).await? {
                        return Ok(answered);
                    }
                }
            }
        }
    }

    /// Wait for the other end to open, and hear meanwhile whether there is something to refuse: that does not
    /// need the other end. Perhaps with the first turn.
    async fn opened(
        &mut self,
        queue: &mut mpsc::Receiver<Turn>,
    ) -> Result<Result<Option<Turn>, Answered>, Broken> {
        let mut first = None;
        let opened = {
            let mut opening = pin!(self.inflow.ready());
            loop {
                tokio::select! {
                    biased;
                    opened = &mut opening => break opened,
                    turn = queue.recv(), if first.is_none() => {
                        if matches!(turn, Some(Turn::Refused(..))) {
                            first = turn;
                            break Ok(());
                        }
                        first = turn;
                        if first.is_none() {
                            break opening.await;
                        }
                    }
                }
            }
        };
        let Err(Broken::Refused { code, reason }) = opened else { return opened.map(|()| Ok(first)) };
        if first.is_none() {
            first = queue.recv().await;
        }
        if let Some(turn) = first {
            let is_head = match turn {
                Turn::Asked(asked, _) => asked.is_head,
                Turn::Refused(_, is_head) => is_head,
            };
            self.refuse(refusal_of(code), is_head).await?;
        }
        Err(Broken::Refused { code, reason })
    }

    /// What the next response belongs to; `None` when there will be none.
    async fn turn(&mut self, queue: &mut mpsc::Receiver<Turn>) -> Result<Option<Turn>, Broken> {
        let unasked = tokio::select! {
            biased;
            turn = queue.recv() => return Ok(turn),
            filled = self.inflow.fill() => filled,
            () = tokio::time::sleep(IDLE_TIMEOUT) => return Ok(None),
        };
        // A turn is there before its response, though the queue may not have been looked at.
        match queue.try_recv() {
            Ok(turn) => Ok(Some(turn)),
            Err(_) => unasked.map(|_| None),
        }
    }

    /// Pass the responses to one request. `Some`: they were the last.
    async fn respond(
        &mut self,
        asked: &Asked,
        mut switch: Option<oneshot::Sender<()>>,
    ) -> Result<Option<Answered>, Broken> {
        loop {
            let head = match self.inflow.head().await {
                Ok(Some(bytes)) => Response::parse(bytes, asked),
                // It has hung up instead: so do we, and the client may try again.
                Ok(None) => return self.over().map(Some),
                Err(Stop::Source(broken) | Stop::Sink(broken)) => return Err(broken),
                Err(Stop::Refused(_) | Stop::Truncated) => Err(Refusal::BadAnswer),
            };
            let response = match head {
                Ok(response) => response,
                Err(refusal) => {
                    self.policy.counters().refuse(refusal);
                    return self.refuse(refusal, asked.is_head).await.map(Some);
                }
            };
            let head = self.policy.response(&response, asked);
            let mut body = Body::new(response.framing);
            self.begun = true;
            if response.status == 101 {
                // Nothing of the new protocol goes back before the head has.
                self.inflow.pass(head, &mut body, &mut self.sink).await.map_err(broken)?;
                let _upgraded = self.policy.counters().upgraded();
                if let Some(switch) = switch.take() {
                    let _ = switch.send(());
                }
                copy(&mut self.inflow, &mut self.sink).await?;
                return Ok(Some(Answered::Upgraded));
            }
            match self.inflow.pass(head, &mut body, &mut self.sink).await {
                Ok(()) if response.framing == Framing::UntilClose => return self.over().map(Some),
                Ok(()) => self.begun = false,
                // The client sees by its own counting that something is missing.
                Err(Stop::Truncated) => return self.over().map(Some),
                Err(Stop::Refused(_)) => {
                    self.policy.counters().refuse(Refusal::BadAnswer);
                    return Err(Broken::Here(Reset::Protocol));
                }
                Err(stop) => return Err(broken(stop)),
            }
            if !response.is_interim() {
                return Ok(None);
            }
        }
    }

    /// Say why there is no response, as the last word.
    async fn refuse(&mut self, refusal: Refusal, is_head: bool) -> Result<Answered, Broken> {
        if self.begun {
            return Err(Broken::Here(Reset::Protocol));
        }
        self.sink.write(&mut [refusal.answer(is_head)]).await?;
        self.over()
    }

    fn over(&mut self) -> Result<Answered, Broken> {
        self.sink.finish()?;
        Ok(Answered::All)
    }
}

fn judge<P: Policy>(policy: &P, bytes: Bytes) -> Result<(Request, Bytes), (Refusal, bool)> {
    let is_head = bytes.starts_with(b"HEAD ");
    let judged = Request::parse(bytes).and_then(|request| {
        let head = policy.request(&request)?;
        Ok((request, head))
    });
    judged.map_err(|refusal| (refusal, is_head))
}

/// All that comes, as it is, and its end.
async fn copy<S: Source>(inflow: &mut Inflow<S>, sink: &mut impl Sink) -> Result<(), Broken> {
    inflow.pass(Bytes::new(), &mut Body::new(Framing::UntilClose), sink).await.map_err(broken)?;
    sink.finish()
}

fn broken(stop: Stop) -> Broken {
    match stop {
        Stop::Source(broken) | Stop::Sink(broken) => broken,
        Stop::Refused(_) | Stop::Truncated => Broken::Here(Reset::Protocol),
    }
}

/// What a client is told of an exporter that does not open.
fn refusal_of(code: Reset) -> Refusal {
    match code {
        Reset::NotPermitted | Reset::Revoked => Refusal::NotPermitted,
        Reset::MaxClients => Refusal::MaxClients,
        Reset::Unreachable
        | Reset::Closed
        | Reset::PeerReset
        | Reset::GoingAway
        | Reset::Protocol
        | Reset::Unsupported
        | Reset::Unread => Refusal::Unreachable,
    }
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
