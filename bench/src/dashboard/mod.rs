//! `cococtl dashboard` before a daemon that is played: with what people have at home, and with five hundred peers.
//!
//! The release binary runs in a pseudo terminal, and is told nothing but keys. First it is left alone, on the tab
//! with the most to format: it asks once a second and is always told the same. Then, tab by tab, with
//! rows filtered, keys sort them the other way round, which makes all of them anew and changes the whole screen. The time
//! is taken from the key to the last byte of the frame: so a frame is what taking the key in, making the rows,
//! filtering, sorting and laying them out, comparing them with the screen and writing the difference take, and the
//! system calls around it. The processor time of a frame is that of the whole program over these keys, its looks at the
//! daemon included.

mod terminal;

#[path = "../../../tests/support/control.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "it is shared with the tests, which look at what was asked")]
mod control;
#[path = "../../../tests/dashboard/crowd.rs"]
mod crowd;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::contenders::coco::binary;
use crowd::Crowd;
use terminal::Terminal;

/// Characters of the terminal.
const WIDTH: u16 = 120;
const HEIGHT: u16 = 40;

/// How long it is left alone.
const IDLE: Duration = Duration::from_secs(30);

/// Frames of each tab in a round; an even number, as the keys are pairs.
const FRAMES: usize = 40;

/// A frame of the crowded network is to take less, in milliseconds.
const FRAME_WITHIN: f64 = 10.0;

/// The dashboard that is left alone is to take less of a processor.
const IDLE_WITHIN: f64 = 0.01;

/// It is to have less resident memory at any time, in megabytes.
const MEMORY_WITHIN: f64 = 50.0;

/// A tab: its key, its name, and two keys that change the screen there and back.
type Tab = (&'static str, &'static str, [&'static str; 2]);

const TABS: [Tab; 6] = [
    ("1", "overview", ["?", "?"]),
    ("2", "peers", REVERSE),
    ("3", "tunnels", REVERSE),
    ("4", "members", REVERSE),
    ("5", "relay", REVERSE),
    ("6", "events", REVERSE),
];

/// Keys that turn the order of rows round, and back.
const REVERSE: [&str; 2] = ["S", "S"];

/// Keys that sort by the first column and keep the rows that have an "r": all of them.
const SORT_AND_FILTER: [&str; 4] = ["s", "/", "r", "\r"];

/// Everything that came out.
#[derive(Debug, Serialize)]
pub(crate) struct Dashboards {
    few: Figures,
    many: Figures,
}

/// What was measured before one daemon.
#[derive(Debug, Serialize)]
struct Figures {
    peers: usize,
    tunnels: usize,
    tabs: Vec<Frames>,
    /// The share of a processor, left alone.
    idle: f64,
    /// Frames that it drew then.
    idle_frames: usize,
    /// Resident megabytes, at most.
    memory_mb: f64,
}

/// The frames of one tab.
#[derive(Debug, Serialize)]
struct Frames {
    tab: &'static str,
    /// From the key to the last byte, milliseconds of each frame.
    took: Vec<f64>,
    /// Processor milliseconds of a frame, in each round.
    cpu: Vec<f64>,
}

/// Measure both, so many rounds.
pub(crate) async fn compare(rounds: u32, scratch: &Path) -> anyhow::Result<Dashboards> {
    let (mut few, mut many) = tokio::try_join!(start(Crowd::FEW, scratch), start(Crowd::MANY, scratch))?;
    eprintln!("dashboards left alone for {} s", IDLE.as_secs());
    tokio::try_join!(few.leave_alone(), many.leave_alone())?;
    for round in 1..=rounds {
        for one in [&mut few, &mut many] {
            eprintln!("round {round}/{rounds}: dashboard of {} peers", one.figures.peers);
            one.round(round == 1).await?;
        }
    }
    Ok(Dashboards { few: few.end()?, many: many.end()? })
}

/// One dashboard, and what was measured of it.
struct Measured {
    terminal: Terminal,
    figures: Figures,
}

async fn start(crowd: Crowd, scratch: &Path) -> anyhow::Result<Measured> {
    let socket = scratch.join(format!("crowd-{}.sock", crowd.peers));
    crowd.play(&socket);
    let mut terminal = Terminal::start(binary("cococtl")?, &socket).await?;
    terminal.press("2").await?;
    let Crowd { peers, tunnels, .. } = crowd;
    let tabs = TABS.map(|(_, tab, _)| Frames { tab, took: Vec::new(), cpu: Vec::new() });
    let figures = Figures { peers, tunnels, tabs: tabs.into(), idle: 0.0, idle_frames: 0, memory_mb: 0.0 };
    Ok(Measured { terminal, figures })
}

impl Measured {
    async fn leave_alone(&mut self) -> anyhow::Result<()> {
        self.terminal.drawn();
        let before = self.terminal.cpu()?;
        tokio::time::sleep(IDLE).await;
        let cpu = self.terminal.cpu()? - before;
        self.figures.idle = cpu.as_secs_f64() / IDLE.as_secs_f64();
        self.figures.idle_frames = self.terminal.drawn();
        Ok(())
    }

    /// Each tab once; the first time its rows are sorted and filtered.
    async fn round(&mut self, first: bool) -> anyhow::Result<()> {
        let terminal = &mut self.terminal;
        for ((key, tab, keys), frames) in TABS.iter().zip(&mut self.figures.tabs) {
            terminal.press(key).await?;
            let rows = *keys == REVERSE;
            for key in SORT_AND_FILTER.iter().filter(|_| rows && first) {
                terminal.press(key).await.with_context(|| format!("preparing {tab}"))?;
            }
            terminal.settle().await;
            let before = terminal.cpu()?;
            for at in 0..FRAMES {
                let took = terminal.press(keys[at % 2]).await.with_context(|| format!("measuring {tab}"))?;
                frames.took.push(millis(took));
            }
            let unasked = terminal.settle().await;
            let cpu = terminal.cpu()? - before;
            frames.cpu.push(millis(cpu) / (FRAMES + unasked) as f64);
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<Figures> {
        self.figures.memory_mb = self.terminal.peak_mb()?;
        Ok(self.figures)
    }
}

impl Dashboards {
    /// How many rounds there were.
    pub(crate) fn rounds(&self) -> usize {
        self.many.tabs.first().map_or(0, |frames| frames.cpu.len())
    }

    /// What it is to reach, and whether it does.
    pub(crate) fn aims(&self) -> Vec<(String, bool)> {
        let Figures { peers, tunnels, idle, memory_mb, .. } = &self.many;
        let slowest = self.many.tabs.iter().max_by(|a, b| a.p50().total_cmp(&b.p50()));
        let (tab, took) = slowest.map_or(("", 0.0), |frames| (frames.tab, frames.p50()));
        let frame = format!(
            "a frame of {peers} peers and {tunnels} tunnels under {FRAME_WITHIN:.0} ms: {took:.2} ms at most ({tab})"
        );
        let percent = |share: f64| share * 100.0;
        let alone = format!(
            "the dashboard left alone under {:.0} % of a processor: {:.2} %",
            percent(IDLE_WITHIN),
            percent(*idle)
        );
        let memory = format!("the dashboard under {MEMORY_WITHIN:.0} MB: {memory_mb:.1} MB");
        vec![(frame, took < FRAME_WITHIN), (alone, *idle < IDLE_WITHIN), (memory, *memory_mb < MEMORY_WITHIN)]
    }
}

impl Frames {
    fn p50(&self) -> f64 {
        median(&self.took)
    }
}

impl fmt::Display for Dashboards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = |figures: &Figures| format!("{} peers", figures.peers);
        let line = |f: &mut fmt::Formatter<'_>, name: &str, few: f64, many: f64| {
            writeln!(f, "{name:<25}{few:>14.2}{many:>14.2}{:>10.1}", many / few)
        };
        let (few, many) = (&self.few, &self.many);
        let title = format!("dashboard, {WIDTH}x{HEIGHT}");
        writeln!(f, "{title:<25}{:>14}{:>14}{:>10}", heading(few), heading(many), "ratio")?;
        for (few, many) in few.tabs.iter().zip(&many.tabs) {
            line(f, &format!("{}, ms a frame", few.tab), few.p50(), many.p50())?;
            line(f, "  CPU ms a frame", median(&few.cpu), median(&many.cpu))?;
        }
        line(f, "idle, % of a processor", few.idle * 100.0, many.idle * 100.0)?;
        line(f, "RSS at most, MB", few.memory_mb, many.memory_mb)
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
