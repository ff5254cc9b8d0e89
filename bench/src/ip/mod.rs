//! IP between two machines, side by side: coco's own addresses, wireguard-go and nebula, each as it comes.
//!
//! One TCP connection goes over each in turn, up and down, between the same two programs on the same cable. The
//! figure that matters is what is carried for a second of processor time of the two ends; the interfaces' part
//! of the kernel's work is in it, the programs' is not. coco carries by ChaCha20-Poly1305 in QUIC, with
//! congestion control; wireguard-go by the same cipher, without; nebula by AES-GCM, without.

mod others;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::contenders::coco;
use crate::lab::{Lab, Side};
use crate::load::{Bulk, Times};
use crate::measure::Plan;
use crate::process::{Running, output, part};

/// coco is to carry so many times what each of the others does for a second of processor time.
const TIMES: f64 = 2.0;

/// Round trips in a turn.
const ROUND_TRIPS: &str = "2000";

/// Longest wait for a connection over a new interface.
const PATIENCE: Duration = Duration::from_secs(20);

/// The target's port.
const TARGET_PORT: u16 = 7005;

/// What carries IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Which {
    Coco,
    WireguardGo,
    Nebula,
}

/// One of them, running.
pub(crate) struct Carrier {
    /// The far side's address in it.
    address: IpAddr,
    /// The processes at both ends.
    ends: Vec<Running>,
    /// What else it needs.
    _background: Vec<Running>,
}

/// Everything that came out.
#[derive(Debug, Serialize)]
pub(crate) struct Carriers {
    results: Vec<Entrant>,
}

#[derive(Debug, Serialize)]
struct Entrant {
    which: Which,
    rounds: Vec<Figures>,
}

/// What was measured in one turn.
#[derive(Debug, Clone, Copy, Serialize)]
struct Figures {
    /// Gbit/s.
    up: f64,
    down: f64,
    /// Processor seconds of both ends for each GB, both directions.
    cpu: f64,
    /// Microseconds, 64 bytes.
    round_trip: f64,
}

impl Which {
    const ALL: [Self; 3] = [Self::Coco, Self::WireguardGo, Self::Nebula];
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Coco => "coco",
            Self::WireguardGo => "wireguard-go",
            Self::Nebula => "nebula",
        })
    }
}

/// Measure them in turn, so many rounds.
pub(crate) async fn compare(
    lab: &Lab,
    plan: &Plan,
    rounds: u32,
    scratch: &Path,
) -> anyhow::Result<Option<Carriers>> {
    if matches!(lab, Lab::Loopback { .. }) {
        eprintln!("no interfaces to compare without namespaces");
        return Ok(None);
    }
    let any = SocketAddr::from(([0; 8], TARGET_PORT)).to_string();
    let (_target, _) = Running::until_ready(part(lab, Side::Far, &["target", &any])?).await?;
    let mut carriers = Vec::new();
    for which in Which::ALL {
        let carrier = set_up(lab, which, scratch).await.with_context(|| format!("setting up {which}"))?;
        carriers.push((Entrant { which, rounds: Vec::new() }, carrier));
    }
    for round in 1..=rounds {
        for (entrant, carrier) in &mut carriers {
            eprintln!("round {round}/{rounds}: IP by {}", entrant.which);
            let figures = turn(lab, plan, carrier).await;
            entrant.rounds.push(figures.with_context(|| format!("measuring {}", entrant.which))?);
        }
    }
    Ok(Some(Carriers { results: carriers.into_iter().map(|(entrant, _)| entrant).collect() }))
}

async fn set_up(lab: &Lab, which: Which, scratch: &Path) -> anyhow::Result<Carrier> {
    let scratch = scratch.join(format!("ip-{which}"));
    std::fs::create_dir(&scratch)?;
    let carrier = match which {
        Which::Coco => {
            let (coco, address) = coco::set_up_ip(lab, &scratch).await?;
            Carrier { address, ends: coco.0, _background: vec![coco.1] }
        }
        Which::WireguardGo => others::wireguard_go(lab, &scratch).await?,
        Which::Nebula => others::nebula(lab, &scratch).await?,
    };
    let began = Instant::now();
    while let Err(error) = load::<Times>(lab, &carrier, &["round-trip", "1", "0"]).await {
        if began.elapsed() > PATIENCE {
            return Err(error.context("nothing gets through"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(carrier)
}

async fn turn(lab: &Lab, plan: &Plan, carrier: &Carrier) -> anyhow::Result<Figures> {
    let milliseconds = plan.bulk.as_millis().to_string();
    let round_trip: Times = load(lab, carrier, &["round-trip", ROUND_TRIPS, "0"]).await?;
    let before = cpu_seconds(carrier)?;
    let up: Bulk = load(lab, carrier, &["up", "1", &milliseconds]).await?;
    let down: Bulk = load(lab, carrier, &["down", "1", &milliseconds]).await?;
    let cpu = cpu_seconds(carrier)? - before;
    let moved = (up.bytes + down.bytes) as f64;
    if moved == 0.0 {
        bail!("nothing was carried");
    }
    let gbps = |bulk: Bulk| bulk.bytes as f64 * 8.0 / 1e9 / bulk.seconds;
    Ok(Figures { up: gbps(up), down: gbps(down), cpu: cpu / (moved / 1e9), round_trip: round_trip.p50 })
}

async fn load<T: serde::de::DeserializeOwned>(
    lab: &Lab,
    carrier: &Carrier,
    words: &[&str],
) -> anyhow::Result<T> {
    let address = SocketAddr::new(carrier.address, TARGET_PORT).to_string();
    let (kind, rest) = words.split_first().context("no load")?;
    let said = output(part(lab, Side::Near, &[&["load", kind, &address], rest].concat())?).await?;
    serde_json::from_str(&said).with_context(|| format!("what the load said: {said}"))
}

fn cpu_seconds(carrier: &Carrier) -> anyhow::Result<f64> {
    carrier.ends.iter().map(Running::cpu_seconds).sum()
}

impl Carriers {
    /// How many rounds there were.
    pub(crate) fn rounds(&self) -> usize {
        self.results.first().map_or(0, |entrant| entrant.rounds.len())
    }

    /// What coco is to reach, and whether it does.
    pub(crate) fn aims(&self) -> Vec<(String, bool)> {
        let per_second = |which| self.median(which, |f| 1.0 / f.cpu);
        let others = [Which::WireguardGo, Which::Nebula];
        let aim = |other: Which| {
            let times = per_second(Which::Coco)? / per_second(other)?;
            let text = format!("IP per CPU second {TIMES:.0} times that of {other}: {times:.1} times");
            Some((text, times >= TIMES))
        };
        others.into_iter().filter_map(aim).collect()
    }

    fn median(&self, which: Which, read: fn(&Figures) -> f64) -> Option<f64> {
        let entrant = self.results.iter().find(|entrant| entrant.which == which)?;
        let mut values: Vec<f64> = entrant.rounds.iter().map(read).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

/// A line of the table: what it says, where it reads the figure, and with how many decimals.
type Line = (&'static str, fn(&Figures) -> f64, usize);

impl fmt::Display for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<25}", "IP")?;
        for entrant in &self.results {
            write!(f, "{:>14}", entrant.which)?;
        }
        writeln!(f)?;
        let lines: [Line; 5] = [
            ("one stream up, Gbit/s", |f| f.up, 2),
            ("one stream down, Gbit/s", |f| f.down, 2),
            ("CPU s/GB, both ends", |f| f.cpu, 2),
            ("GB per CPU second", |f| 1.0 / f.cpu, 3),
            ("round trip p50, us", |f| f.round_trip, 0),
        ];
        for (name, read, decimals) in lines {
            write!(f, "{name:<25}")?;
            for entrant in &self.results {
                write!(f, "{:>14.decimals$}", self.median(entrant.which, read).unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
