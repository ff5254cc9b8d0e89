//! One contender's turn in one round.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contenders::{Contender, larger_mb};
use crate::lab::{Lab, Side};
use crate::load::{Bulk, Times};
use crate::process::{Running, output, part};

/// Round trips in a turn.
const ROUND_TRIPS: &str = "5000";

/// Connections in a turn.
const CONNECTIONS: &str = "1000";

/// Between two looks at the memory in use.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long it may take.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Each of the three bulk transfers.
    pub(crate) bulk: Duration,
}

/// What was measured in one turn.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figures {
    /// One stream to the resource, Gbit/s.
    pub(crate) up: f64,
    /// One stream from the resource, Gbit/s.
    pub(crate) down: f64,
    /// Four streams to the resource, Gbit/s.
    pub(crate) four: f64,
    /// Processor seconds of both ends for each GB, one stream, both directions.
    pub(crate) cpu: Option<f64>,
    /// 64 bytes there and back, microseconds.
    pub(crate) round_trip: Times,
    /// Connect, a byte there and back, close, microseconds.
    pub(crate) connect: Times,
    /// Resident megabytes of the larger end in bulk, at most.
    pub(crate) bulk_mb: f64,
}

pub(crate) async fn round(lab: &Lab, contender: &Contender, plan: &Plan) -> anyhow::Result<Figures> {
    let milliseconds = plan.bulk.as_millis().to_string();
    let round_trip = load(lab, contender, &["round-trip", ROUND_TRIPS]).await?;
    let connect = load(lab, contender, &["connect", CONNECTIONS]).await?;
    let before = cpu_seconds(&contender.ends)?;
    let mut bulk_mb = 0.0;
    let mut bulk = async |kind: &str, streams: &str| {
        let words = [kind, streams, &milliseconds];
        let transfer = load::<Bulk>(lab, contender, &words);
        let (moved, most) = watching(&contender.ends, transfer).await?;
        bulk_mb = most.max(bulk_mb);
        anyhow::Ok(moved)
    };
    let up = bulk("up", "1").await?;
    let down = bulk("down", "1").await?;
    let cpu = cpu_seconds(&contender.ends)? - before;
    let four = bulk("up", "4").await?;
    Ok(Figures {
        up: gbps(up),
        down: gbps(down),
        four: gbps(four),
        cpu: (!contender.ends.is_empty()).then(|| cpu / ((up.bytes + down.bytes) as f64 / 1e9)),
        round_trip,
        connect,
        bulk_mb,
    })
}

async fn load<T: DeserializeOwned>(lab: &Lab, contender: &Contender, words: &[&str]) -> anyhow::Result<T> {
    let address = contender.address.to_string();
    let (kind, rest) = words.split_first().context("no load")?;
    let mut all = [&["load", kind, &address], rest].concat();
    if rest.len() == 1 {
        all.push("0");
    }
    let said = output(part(lab, Side::Near, &all)?).await?;
    serde_json::from_str(&said).with_context(|| format!("what the load said: {said}"))
}

/// Do it, and look at the memory meanwhile.
async fn watching<T>(
    ends: &[Running],
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, f64)> {
    let mut work = std::pin::pin!(work);
    let mut most: f64 = 0.0;
    loop {
        tokio::select! {
            done = &mut work => return Ok((done?, most)),
            () = tokio::time::sleep(LOOK_EVERY) => most = most.max(larger_mb(ends)?),
        }
    }
}

fn cpu_seconds(ends: &[Running]) -> anyhow::Result<f64> {
    ends.iter().map(Running::cpu_seconds).sum()
}

fn gbps(bulk: Bulk) -> f64 {
    bulk.bytes as f64 * 8.0 / 1e9 / bulk.seconds
}
