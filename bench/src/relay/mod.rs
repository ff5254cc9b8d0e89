//! Relays side by side: ours and coturn, the same datagrams through both in turn.
//!
//! The figure that matters is what a relay carries for a second of processor time, since that is what a relay
//! costs. It is taken with one busy pair of nodes, with a hundred pairs whose bursts are interleaved, and with a hundred
//! pairs that send single datagrams, in which nothing can be kept together. The relay is in the far namespace; the nodes are all in the near one.

mod load;
mod ours;
mod turn;

use std::fmt;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

pub(crate) use load::{Job, run};
pub(crate) use ours::relay;

use crate::lab::{Lab, Side};
use crate::measure::Plan;
use crate::process::{Running, command, output, part};
use load::{Carried, DATAGRAM};

/// The relays' ports, where we may choose.
const OUR_PORT: u16 = 7003;
const TURN_PORT: u16 = 3478;

/// Datagrams that QUIC hands over at once: the most of a node in one send.
const BURST: usize = 10;

/// For one busy pair, ours is to carry so many times what coturn does for a second of processor time.
const ONE_PAIR_TIMES: f64 = 10.0;

/// And for many pairs.
const MANY_PAIRS_TIMES: f64 = 5.0;

/// A relay's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    Coco,
    Coturn,
}

/// Who sends, and how.
#[derive(Debug, Clone, Copy, Serialize)]
struct Case {
    name: &'static str,
    pairs: usize,
    burst: usize,
    /// What is to be reached, in times of coturn.
    times: Option<f64>,
}

const CASES: [Case; 3] = [
    Case { name: "one pair", pairs: 1, burst: BURST, times: Some(ONE_PAIR_TIMES) },
    Case { name: "100 pairs", pairs: 100, burst: BURST, times: Some(MANY_PAIRS_TIMES) },
    Case { name: "100 pairs, singles", pairs: 100, burst: 1, times: None },
];

/// Everything that came out about relays.
#[derive(Debug, Serialize)]
pub(crate) struct Relays {
    results: Vec<Result>,
}

#[derive(Debug, Serialize)]
struct Result {
    which: Which,
    case: Case,
    rounds: Vec<Carried>,
}

impl Which {
    const ALL: [Self; 2] = [Self::Coco, Self::Coturn];
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Coco => "coco",
            Self::Coturn => "coturn",
        })
    }
}

/// Measure them in turn, so many rounds.
pub(crate) async fn compare(lab: &Lab, plan: &Plan, rounds: u32, scratch: &Path) -> anyhow::Result<Relays> {
    let all = CASES.iter().flat_map(|case| Which::ALL.map(|which| (which, *case)));
    let mut results: Vec<_> = all.map(|(which, case)| Result { which, case, rounds: Vec::new() }).collect();
    for round in 1..=rounds {
        for result in &mut results {
            let (which, case) = (result.which, result.case);
            eprintln!("round {round}/{rounds}: the relay of {which}, {}", case.name);
            let carried = carry(lab, plan, which, case, scratch).await;
            let carried = carried.with_context(|| format!("measuring the relay of {which}"))?;
            result.rounds.push(carried);
        }
    }
    Ok(Relays { results })
}

/// One relay, new, under one load.
async fn carry(lab: &Lab, plan: &Plan, which: Which, case: Case, scratch: &Path) -> anyhow::Result<Carried> {
    let (relay, address) = match which {
        Which::Coco => {
            let listen = lab.free_udp(Side::Far, OUR_PORT)?.to_string();
            let (relay, address) = Running::until_ready(part(lab, Side::Far, &["relay", &listen])?).await?;
            (relay, address)
        }
        Which::Coturn => coturn(lab, scratch)?,
    };
    let words = [
        "relay-load".to_owned(),
        which.to_string(),
        address,
        relay.pid().to_string(),
        lab.address(Side::Near).to_string(),
        case.pairs.to_string(),
        case.burst.to_string(),
        plan.bulk.as_millis().to_string(),
    ];
    let said = output(part(lab, Side::Near, &words.each_ref().map(String::as_str))?).await?;
    serde_json::from_str(&said).with_context(|| format!("what the load said: {said}"))
}

/// coturn as it comes, without what the load does not use.
fn coturn(lab: &Lab, scratch: &Path) -> anyhow::Result<(Running, String)> {
    let address = lab.free_udp(Side::Far, TURN_PORT)?;
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut turnserver = command(lab, Side::Far, "turnserver");
    turnserver.args(["-n", "--no-auth", "--listening-ip", &ip, "--relay-ip", &ip]);
    turnserver.args(["--listening-port", &port]);
    turnserver.args(["--no-tcp", "--no-tls", "--no-dtls", "--no-tcp-relay", "--no-cli", "--no-rfc5780"]);
    if ip == "127.0.0.1" {
        turnserver.arg("--allow-loopback-peers");
    }
    turnserver.arg("--userdb").arg(scratch.join("turn.db"));
    turnserver.arg("--pidfile").arg(scratch.join("turn.pid"));
    turnserver.args(["--simple-log", "--log-file", "stdout"]);
    let running = Running::start(turnserver, scratch.join("turn.log"));
    let running = running.context("turnserver, of the Debian package coturn")?;
    Ok((running, address.to_string()))
}

/// A line of the table.
struct Line {
    name: &'static str,
    read: fn(&Carried) -> f64,
    decimals: usize,
    /// Whether a ratio says something.
    compare: bool,
}

const LINES: [Line; 4] = [
    Line { name: "kpps per CPU s", read: |c| c.delivered as f64 / 1e3 / c.cpu, decimals: 0, compare: true },
    Line { name: "Gbit per CPU s", read: |c| gigabits(c) / c.cpu, decimals: 2, compare: true },
    Line { name: "Gbit/s", read: |c| gigabits(c) / c.seconds, decimals: 2, compare: true },
    Line {
        name: "lost, %",
        // What is under way when the counting begins may come, and be one too many.
        read: |c| (1.0 - c.delivered as f64 / c.sent as f64).max(0.0) * 100.0,
        decimals: 1,
        compare: false,
    },
];

fn gigabits(carried: &Carried) -> f64 {
    (carried.delivered * DATAGRAM as u64) as f64 * 8.0 / 1e9
}

impl Relays {
    /// How many there were.
    pub(crate) fn rounds(&self) -> usize {
        self.results.first().map_or(0, |result| result.rounds.len())
    }

    fn median(&self, which: Which, case: &Case, read: fn(&Carried) -> f64) -> Option<f64> {
        let ours = |result: &&Result| result.which == which && result.case.name == case.name;
        let result = self.results.iter().find(ours)?;
        let mut values: Vec<f64> = result.rounds.iter().map(read).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    fn both(&self, case: &Case, read: fn(&Carried) -> f64) -> Option<[f64; 2]> {
        Some([self.median(Which::Coco, case, read)?, self.median(Which::Coturn, case, read)?])
    }

    /// What ours is to reach, and whether it does.
    pub(crate) fn aims(&self) -> Vec<(String, bool)> {
        let aim = |case: &Case| {
            let [coco, coturn] = self.both(case, LINES[0].read)?;
            let (times, wanted) = (coco / coturn, case.times?);
            let text =
                format!("relay, {}: {wanted:.0} times coturn per CPU second: {times:.1} times", case.name);
            Some((text, times >= wanted))
        };
        CASES.iter().filter_map(aim).collect()
    }
}

impl fmt::Display for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Relays, {DATAGRAM}-byte datagrams, bursts of {BURST} or single")?;
        writeln!(f)?;
        writeln!(f, "{:<35}{:>10}{:>10}{:>12}", "", Which::Coco, Which::Coturn, "coco/coturn")?;
        for case in &CASES {
            for line in &LINES {
                let Some([coco, coturn]) = self.both(case, line.read) else { continue };
                let (name, decimals) = (format!("{}: {}", case.name, line.name), line.decimals);
                write!(f, "{name:<35}{coco:>10.decimals$}{coturn:>10.decimals$}")?;
                match line.compare {
                    true => writeln!(f, "{:>12.2}", coco / coturn)?,
                    false => writeln!(f, "{:>12}", "-")?,
                }
            }
        }
        Ok(())
    }
}
