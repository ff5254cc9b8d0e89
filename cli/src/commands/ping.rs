//! `ping`: the round trip to a node, over the path its packets take now.

use std::time::Duration;

use coconet::control::{ErrorKind, Ping, Pong};

use super::Context;
use crate::args;
use crate::client::GRACE;
use crate::fail::Fail;
use crate::units;

/// Time between two pings: as the ping everybody knows.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &Context, args: &args::Ping) -> Result<(), Fail> {
    let request = Ping {
        node: args.node.as_str().to_owned(),
        network: args.network.clone(),
        timeout_s: Some(args.timeout.as_secs()),
    };
    let limit = args.timeout + GRACE;
    let mut answered = false;
    let mut last = None;
    for turn in 0..args.count {
        if turn > 0 {
            tokio::time::sleep(INTERVAL).await;
        }
        match context.client.post::<Pong>("/v1/ping", &request, limit).await {
            Ok(answer) => {
                answered = true;
                context.out.answer(&answer, |pong| [line(pong)])?;
            }
            // A lost packet is what a ping looks for; anything else will not change by asking again.
            Err(fail) if fail.kind() == Some(ErrorKind::TimedOut) && args.count > 1 => {
                context.out.note(&fail.summary());
                last = Some(fail);
            }
            Err(fail) => return Err(fail),
        }
    }
    match last {
        Some(fail) if !answered => Err(fail.within(format!("no answer to {} pings", args.count))),
        Some(_) | None => Ok(()),
    }
}

fn line(pong: &Pong) -> String {
    format!("pong from {} by {} in {}", pong.node, pong.path, units::round_trip(pong.rtt_us))
}
