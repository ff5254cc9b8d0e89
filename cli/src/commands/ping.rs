//! `ping`: the round trip to a node, over the path its packets take now. Without a count it goes on until one
//! comes directly.

use std::time::Duration;

use coconet::control::{ErrorKind, Ping, Pong};

use super::Context;
use crate::args;
use crate::client::GRACE;
use crate::fail::Fail;
use crate::units;

/// Time between two pings: as the ping everybody knows.
const INTERVAL: Duration = Duration::from_secs(1);

/// Pings before giving up on a direct path, which takes a few seconds where it is possible.
const UNTIL_DIRECT: u32 = 10;

pub(super) async fn run(context: &Context, args: &args::Ping) -> Result<(), Fail> {
    let request = Ping {
        node: args.node.as_str().to_owned(),
        network: args.network.clone(),
        timeout_s: Some(args.timeout.as_secs()),
    };
    let limit = args.timeout + GRACE;
    let mut answered = false;
    let mut last = None;
    let mut relayed = None;
    for turn in 0..args.count.unwrap_or(UNTIL_DIRECT) {
        if turn > 0 {
            tokio::time::sleep(INTERVAL).await;
        }
        match context.client.post::<Pong>("/v1/ping", &request, limit).await {
            Ok(answer) => {
                answered = true;
                context.out.answer(&answer, |pong| [line(pong)])?;
                let direct = answer.value.path.starts_with("direct");
                if direct && args.count.is_none() {
                    return Ok(());
                }
                relayed = Some(answer.value.node).filter(|_| !direct);
            }
            // A lost packet is what a ping looks for; anything else will not change by asking again.
            Err(fail) if fail.kind() == Some(ErrorKind::TimedOut) && args.count != Some(1) => {
                context.out.note(&fail.summary());
                last = Some(fail);
            }
            Err(fail) => return Err(fail),
        }
    }
    match last {
        Some(fail) if !answered => {
            let pings = args.count.unwrap_or(UNTIL_DIRECT);
            Err(fail.within(format!("no answer to {pings} pings")))
        }
        Some(_) | None => {
            if let Some(node) = relayed.filter(|_| args.count.is_none()) {
                context.out.note(&format!("note: no direct path to {node} yet"));
                context.out.hint(&format!("{} doctor", context.me()));
            }
            Ok(())
        }
    }
}

fn line(pong: &Pong) -> String {
    format!("pong from {} by {} in {}", pong.node, pong.path, units::round_trip(pong.rtt_us))
}
