//! One direction's bytes, taken message by message.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::super::{Broken, CHUNKS};
use super::ends::{Sink, Source};
use super::framing::Body;
use super::head::Scanner;
use super::refusal::Refusal;

/// What has come and was not taken yet, and where more comes from.
pub(super) struct Inflow<S> {
    source: S,
    ahead: VecDeque<Bytes>,
    ended: bool,
}

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum Stop {
    /// Its bytes are not to be forwarded.
    Refused(Refusal),
    /// Where it comes from broke.
    Source(Broken),
    /// Where it goes to broke.
    Sink(Broken),
    /// The direction ended in the middle of it.
    Truncated,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<S: Source> Inflow<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, ahead: VecDeque::new(), ended: false }
    }

    /// Wait until the other end is ready to send.
    pub(super) async fn ready(&mut self) -> Result<(), Broken> {
        self.source.ready().await
    }

    /// Wait until something has come; false at the end. Nothing is lost when it is dropped.
    pub(super) async fn fill(&mut self) -> Result<bool, Broken> {
        while self.ahead.is_empty() && !self.ended {
            self.ended = !self.source.read(&mut self.ahead).await?;
        }
        Ok(!self.ahead.is_empty())
    }

    /// The next head; `None` at an end before it.
    pub(super) async fn head(&mut self) -> Result<Option<Bytes>, Stop> {
        let (mut scanner, mut head) = (Scanner::default(), BytesMut::new());
        loop {
            if !self.fill().await.map_err(Stop::Source)? {
                return if head.is_empty() { Ok(None) } else { Err(Stop::Truncated) };
            }
            while let Some(mut chunk) = self.ahead.pop_front() {
                let Some(end) = scanner.scan(&chunk)? else {
                    head.extend_from_slice(&chunk);
                    continue;
                };
                let last = chunk.split_to(end);
                if !chunk.is_empty() {
                    self.ahead.push_front(chunk);
                }
                if head.is_empty() {
                    return Ok(Some(last));
                }
                head.extend_from_slice(&last);
                return Ok(Some(head.freeze()));
            }
        }
    }

    /// Pass a head and the body that follows it, each piece when it comes.
    pub(super) async fn pass(
        &mut self,
        head: Bytes,
        body: &mut Body,
        sink: &mut impl Sink,
    ) -> Result<(), Stop> {
        let mut batch = vec![head];
        loop {
            // The first time only what is here already: the head does not wait for the body.
            while let Some(mut chunk) = self.ahead.pop_front() {
                let rest = chunk.split_off(body.take(&chunk)?);
                batch.push(chunk);
                if !rest.is_empty() {
                    self.ahead.push_front(rest);
                }
                if body.is_done() || batch.len() >= CHUNKS {
                    break;
                }
            }
            sink.write(&mut batch).await.map_err(Stop::Sink)?;
            batch.clear();
            if body.is_done() {
                return Ok(());
            }
            if !self.fill().await.map_err(Stop::Source)? {
                return if body.may_end() { Ok(()) } else { Err(Stop::Truncated) };
            }
        }
    }

    /// Take what comes until the end, for nobody.
    pub(super) async fn drain(&mut self) -> Result<(), Broken> {
        while self.fill().await? {
            self.ahead.clear();
        }
        Ok(())
    }
}
