//! HTTP/1, forwarded message by message and held back nowhere.
//!
//! One connection of an application becomes one channel, and one connection to the target. The listener's end
//! ([`near`]) answers only to its own names ([`names`]), does nothing for other sites' web pages (`origin`) and
//! changes nothing. The exporter's end ([`far`])
//! judges each request by what the caller may do ([`judge`], [`path`]) and rewrites what names the other
//! side or the client ([`rewrite`]). Both read every message strictly ([`head`], [`framing`], [`chunked`]): what two
//! readers could take for two different things is refused ([`refusal`]), so that whatever is forwarded means
//! to the target what it meant here. The messages themselves go through the same pump at both ends (`pump`): a head
//! is read whole, at most [`HEAD_MAX`](head::HEAD_MAX) bytes, and everything behind it goes on
//! the moment it comes. So memory is bounded whatever the size of a body, and a camera's pictures, an event stream
//! or a long poll arrive as they are sent.
//!
//! HTTP/2 and TLS are not read here: such a service is exposed as `tcp`, which is opaque.

pub mod chunked;
mod counters;
mod ends;
pub mod framing;
pub mod head;
mod inflow;
pub mod judge;
pub mod names;
mod origin;
pub mod path;
mod pump;
pub mod refusal;
pub mod rewrite;

use bytes::Bytes;
use coconet::wire::code::Reset;

use super::{Broken, Caller, Local, Meter, Service};
use crate::channel::Channel;
use ends::{FromChannel, FromLocal, ToChannel, ToLocal};
use head::{Asked, Request, Response};
use judge::Judge;
use refusal::Refusal;
use rewrite::Rewriter;

pub use counters::{Counters, RATE_SPAN};
pub use names::Names;
pub use pump::{HEAD_TIMEOUT, IDLE_TIMEOUT, LINGER, PIPELINE_MAX};

/// The listener's end of one connection: an application's socket, and a channel on which the exporter's
/// answer to the open is still to come.
pub async fn near(
    mut local: Local,
    mut channel: Channel,
    names: &Names,
    counters: &Counters,
    meter: &Meter,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let ended = {
        let Channel { tx, rx, .. } = &mut channel;
        let (reader, writer) = local.split();
        let client = (FromLocal::new(reader, meter), ToLocal::new(writer, meter));
        let server = (FromChannel::new(rx, true), ToChannel(tx));
        let listener = Listener { names, counters };
        tokio::select! {
            ended = pump::run(&listener, client, server) => ended,
            code = cut => Err(Broken::Here(code)),
        }
    };
    // Whom the exporter has refused was told so in HTTP: a reset would take that back.
    let told = matches!(ended, Err(Broken::Refused { .. }));
    super::end(ended, (!told).then_some(local), channel, meter)
}

/// The exporter's end of one connection: a socket to the target, and a channel that was answered.
pub async fn far(
    service: &Service,
    caller: &Caller,
    mut local: Local,
    mut channel: Channel,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let meter = &service.meter;
    let ended = {
        let Channel { tx, rx, .. } = &mut channel;
        let (reader, writer) = local.split();
        let client = (FromChannel::new(rx, false), ToChannel(tx));
        let server = (FromLocal::new(reader, meter), ToLocal::new(writer, meter));
        let exporter = Exporter {
            judge: Judge::new(&caller.rights),
            rewriter: Rewriter::new(service, &caller.alias),
            counters: &service.http,
        };
        tokio::select! {
            ended = pump::run(&exporter, client, server) => ended,
            code = cut => Err(Broken::Here(code)),
        }
    };
    super::end(ended, Some(local), channel, meter)
}

struct Listener<'a> {
    names: &'a Names,
    counters: &'a Counters,
}

impl pump::Policy for Listener<'_> {
    fn request(&self, request: &Request) -> Result<Bytes, Refusal> {
        self.names.judge(request)?;
        Ok(request.head.bytes().clone())
    }

    fn response(&self, response: &Response, _: &Asked) -> Bytes {
        response.head.bytes().clone()
    }

    fn counters(&self) -> &Counters {
        self.counters
    }
}

struct Exporter<'a> {
    judge: Judge<'a>,
    rewriter: Rewriter,
    counters: &'a Counters,
}

impl pump::Policy for Exporter<'_> {
    fn request(&self, request: &Request) -> Result<Bytes, Refusal> {
        self.judge.judge(request)?;
        self.rewriter.request(request)
    }

    fn response(&self, response: &Response, asked: &Asked) -> Bytes {
        self.rewriter.response(response, asked.host.as_deref())
    }

    fn counters(&self) -> &Counters {
        self.counters
    }
}
