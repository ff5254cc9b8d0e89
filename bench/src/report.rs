//! The tables, and the file with every figure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::contenders::{Contender, Which};
use crate::dashboard::Dashboards;
use crate::ip::Carriers;
use crate::lab::Lab;
use crate::measure::Figures;
use crate::relay::Relays;

/// coco's throughput and processor time are to be this near to the bare carrier's.
const CARRIER_WITHIN: f64 = 0.10;

/// Microseconds that a round trip through the tunnel may take longer than a raw one.
const ROUND_TRIP_WITHIN: f64 = 60.0;

/// Microseconds that a new connection through the tunnel may take.
const CONNECT_WITHIN: f64 = 300.0;

/// A machine of which others use more than this gives no figures to compare with another day's.
const BUSY: f64 = 0.1;

/// Everything that came out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    lab: String,
    /// The share of the processors that others used when it began.
    others_use: f64,
    contenders: Vec<Entrant>,
    pub(crate) relays: Option<Relays>,
    pub(crate) ip: Option<Carriers>,
    pub(crate) dashboards: Option<Dashboards>,
}

#[derive(Debug, Serialize)]
struct Entrant {
    which: Which,
    idle_mb: f64,
    rounds: Vec<Figures>,
}

/// A line of the table: what it is called, how it is read from the figures, how many decimals it has.
struct Line {
    name: &'static str,
    read: fn(&Figures) -> Option<f64>,
    decimals: usize,
}

const LINES: [Line; 9] = [
    Line { name: "one stream up, Gbit/s", read: |f| Some(f.up), decimals: 2 },
    Line { name: "one stream down, Gbit/s", read: |f| Some(f.down), decimals: 2 },
    Line { name: "4 streams up, Gbit/s", read: |f| Some(f.four), decimals: 2 },
    Line { name: "CPU s/GB, both ends", read: |f| f.cpu, decimals: 2 },
    Line { name: "round trip p50, us", read: |f| Some(f.round_trip.p50), decimals: 0 },
    Line { name: "round trip p99, us", read: |f| Some(f.round_trip.p99), decimals: 0 },
    Line { name: "new connection, us", read: |f| Some(f.connect.p50), decimals: 0 },
    Line { name: "new connections per s", read: |f| Some(1e6 / f.connect.p50), decimals: 0 },
    Line { name: "RSS in bulk, MB, one end", read: |f| f.cpu.map(|_| f.bulk_mb), decimals: 1 },
];

impl Report {
    /// Nothing yet; `others_use` is what [`others_use`] said before.
    pub(crate) fn new(lab: &Lab, others_use: f64) -> Self {
        let lab = lab.to_string();
        Self { lab, others_use, contenders: Vec::new(), relays: None, ip: None, dashboards: None }
    }

    /// `rounds` holds the figures of each round, in the contenders' order.
    pub(crate) fn add_tunnels(&mut self, contenders: &[Contender], rounds: &[Vec<Figures>]) {
        let entrant = |(at, contender): (usize, &Contender)| Entrant {
            which: contender.which,
            idle_mb: contender.idle_mb,
            rounds: rounds.iter().filter_map(|figures| figures.get(at)).copied().collect(),
        };
        self.contenders = contenders.iter().enumerate().map(entrant).collect();
    }

    /// Write `bench.json` into the target directory.
    pub(crate) fn save(&self) -> anyhow::Result<PathBuf> {
        let file = target_directory().join("bench.json");
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        Ok(file)
    }

    fn median(&self, which: Which, read: fn(&Figures) -> Option<f64>) -> Option<f64> {
        let entrant = self.contenders.iter().find(|entrant| entrant.which == which)?;
        let mut values: Vec<f64> = entrant.rounds.iter().filter_map(read).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    fn idle_mb(&self, which: Which) -> Option<f64> {
        let entrant = self.contenders.iter().find(|entrant| entrant.which == which)?;
        Some(entrant.idle_mb).filter(|mb| *mb > 0.0)
    }

    /// What coco is to reach, and whether it does.
    fn aims(&self) -> Vec<(String, bool)> {
        let both = |read| Some((self.median(Which::Coco, read)?, self.median(Which::Bare, read)?));
        let near = |name: &str, read, more_is_better: bool| {
            let (coco, bare): (f64, f64) = both(read)?;
            let behind = if more_is_better { 1.0 - coco / bare } else { coco / bare - 1.0 };
            let side = if behind > 0.0 { "behind" } else { "ahead of" };
            let text = format!(
                "{name} within {:.0} % of bare noq: {:.1} % {side} it",
                CARRIER_WITHIN * 100.0,
                behind.abs() * 100.0
            );
            Some((text, behind <= CARRIER_WITHIN))
        };
        let trip = || {
            let read = |f: &Figures| Some(f.round_trip.p50);
            let more = self.median(Which::Coco, read)? - self.median(Which::Raw, read)?;
            let text = format!("round trip within {ROUND_TRIP_WITHIN:.0} us of raw TCP: {more:.0} us more");
            Some((text, more <= ROUND_TRIP_WITHIN))
        };
        let connect = || {
            let took = self.median(Which::Coco, |f| Some(f.connect.p50))?;
            let text = format!("a new connection under {CONNECT_WITHIN:.0} us: {took:.0} us");
            Some((text, took < CONNECT_WITHIN))
        };
        let aims = [
            near("one stream up", |f| Some(f.up), true),
            near("one stream down", |f| Some(f.down), true),
            near("CPU s/GB", |f| f.cpu, false),
            trip(),
            connect(),
        ];
        aims.into_iter().flatten().collect()
    }

    fn tunnels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<25}", "")?;
        for entrant in &self.contenders {
            write!(f, "{:>10}", entrant.which)?;
        }
        for (of, to) in ratios(&self.contenders) {
            write!(f, "{:>10}", format!("{}/{}", short(of), short(to)))?;
        }
        writeln!(f)?;
        for line in &LINES {
            self.line(f, line.name, line.decimals, |which| self.median(which, line.read))?;
        }
        self.line(f, "RSS idle, MB, one end", 1, |which| self.idle_mb(which))
    }

    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        decimals: usize,
        value: impl Fn(Which) -> Option<f64>,
    ) -> fmt::Result {
        write!(f, "{name:<25}")?;
        for entrant in &self.contenders {
            match value(entrant.which) {
                Some(value) => write!(f, "{value:>10.decimals$}")?,
                None => write!(f, "{:>10}", "-")?,
            }
        }
        for (of, to) in ratios(&self.contenders) {
            match value(of).zip(value(to)) {
                Some((of, to)) => write!(f, "{:>10.2}", of / to)?,
                None => write!(f, "{:>10}", "-")?,
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_tunnels = self.contenders.first().map(|entrant| entrant.rounds.len());
        let rounds = of_tunnels
            .or(self.relays.as_ref().map(Relays::rounds))
            .or(self.ip.as_ref().map(Carriers::rounds))
            .or(self.dashboards.as_ref().map(Dashboards::rounds))
            .unwrap_or_default();
        writeln!(f, "Medians of {rounds}, on {}", self.lab)?;
        if self.others_use > BUSY {
            let percent = self.others_use * 100.0;
            writeln!(f, "Others used {percent:.0} % of the machine when it began: ratios only, and roughly")?;
        }
        if !self.contenders.is_empty() {
            writeln!(f)?;
            self.tunnels(f)?;
        }
        if let Some(relays) = &self.relays {
            write!(f, "\n{relays}")?;
        }
        if let Some(ip) = &self.ip {
            write!(f, "\n{ip}")?;
        }
        if let Some(dashboards) = &self.dashboards {
            write!(f, "\n{dashboards}")?;
        }
        let of_relays = self.relays.as_ref().map(Relays::aims).unwrap_or_default();
        let of_ip = self.ip.as_ref().map(Carriers::aims).unwrap_or_default();
        let of_dashboards = self.dashboards.as_ref().map(Dashboards::aims).unwrap_or_default();
        let aims = [self.aims(), of_relays, of_ip, of_dashboards].concat();
        if !aims.is_empty() {
            writeln!(f, "\nAims")?;
        }
        for (text, reached) in aims {
            writeln!(f, "  {} {text}", if reached { "reached:    " } else { "not reached:" })?;
        }
        Ok(())
    }
}

/// Which are divided by which.
fn ratios(contenders: &[Entrant]) -> Vec<(Which, Which)> {
    let has = |which| contenders.iter().any(|entrant| entrant.which == which);
    let all = [(Which::Bare, Which::Raw), (Which::Coco, Which::Raw), (Which::Coco, Which::Bare)];
    all.into_iter().filter(|(of, to)| has(*of) && has(*to)).collect()
}

fn short(which: Which) -> &'static str {
    match which {
        Which::Raw => "raw",
        Which::Bare => "bare",
        Which::Coco => "coco",
    }
}

/// The share of all processors that others use, looked at for a second.
pub(crate) async fn others_use() -> anyhow::Result<f64> {
    let (idle_before, all_before) = processor_time()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (idle, all) = processor_time()?;
    Ok(1.0 - (idle - idle_before) / (all - all_before).max(1.0))
}

/// Idle and all time of the processors since boot.
fn processor_time() -> anyhow::Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line =
        stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("no cpu in /proc/stat")?;
    let times: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    // user nice system idle iowait ...
    let idle = times.iter().skip(3).take(2).sum();
    Ok((idle, times.iter().take(8).sum()))
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target"),
    }
}
