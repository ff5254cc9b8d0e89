//! Through the tunnel and raw, side by side in one run, as ratios.
//!
//! Absolute figures hold for one machine and one minute, and say little. So the same load goes in turn
//! through raw TCP, through a bare noq forwarder ([`bare`]: what the carrier gives with TLS 1.3 and the
//! same cipher) and through coco's own daemons ([`contenders`]), in a [`lab`] of two network namespaces;
//! the turns are interleaved, so that a neighbour's noise hits all alike, and each figure is the median
//! of the rounds. After that, datagrams go through our [`relay`] and through coturn, and [`ip`] packets by
//! coco, wireguard-go and nebula; and the [`dashboard`] draws a small network and a crowded one. [`report`] prints the
//! tables and writes `target/bench.json`.
//!
//! Every process of it is this program again, by a subcommand, or a release binary of coco. All of it
//! ends when the program does, however that comes about.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table and its progress"
)]

mod bare;
mod contenders;
mod dashboard;
mod ip;
mod lab;
mod load;
mod measure;
mod process;
mod relay;
mod report;
mod target;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::contenders::{Field, Scratch, Which};
use crate::lab::Lab;
use crate::measure::Plan;

/// The whole run, at most. Past it something hangs, and no figure is better than a wrong one.
const TIME_LIMIT: Duration = Duration::from_secs(480);

/// Measure coco beside raw TCP and a bare QUIC forwarder, its relay beside coturn, and its dashboard
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// What to measure; everything by default
    #[arg(value_enum)]
    what: Vec<What>,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    rounds: u32,
    /// Seconds of each bulk transfer
    #[arg(long, default_value_t = 2.5)]
    seconds: f64,
    /// Stay on loopback even where network namespaces could be made
    #[arg(long)]
    loopback: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// TCP from the application to the target, with nothing between
    Raw,
    /// A bare QUIC forwarder with the same cipher and settings
    Bare,
    /// coco's daemons
    Coco,
    /// coco's relay and coturn
    Relays,
    /// IP by coco, wireguard-go and nebula
    Ip,
    /// The dashboard before few peers and before many
    Dashboard,
}

/// The processes of a measurement; not for people.
#[derive(Debug, Subcommand)]
enum Part {
    /// The server that all traffic goes to
    #[command(hide = true)]
    Target { listen: SocketAddr },
    /// The application that makes the traffic
    #[command(hide = true)]
    Load(load::Job),
    /// The listening end of the bare forwarder
    #[command(hide = true)]
    BareNear { peer: SocketAddr },
    /// The target's end of the bare forwarder
    #[command(hide = true)]
    BareFar { listen: SocketAddr, target: SocketAddr },
    /// Our relay
    #[command(hide = true)]
    Relay { listen: SocketAddr },
    /// The nodes that send through a relay
    #[command(hide = true)]
    RelayLoad(relay::Job),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.part {
        Some(Part::Target { listen }) => target::serve(*listen),
        Some(Part::Load(job)) => load::run(job),
        Some(Part::BareNear { peer }) => on_one_thread(bare::near(*peer)),
        Some(Part::BareFar { listen, target }) => on_one_thread(bare::far(*listen, *target)),
        Some(Part::Relay { listen }) => on_one_thread(relay::relay(*listen)),
        Some(Part::RelayLoad(job)) => relay::run(job),
        None => on_one_thread(until_stopped(&args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_one_thread(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Signals and the time limit drop the run where it is; what it holds is removed by that.
async fn until_stopped(args: &Args) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        done = compare(args) => done,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
        _ = hang_up.recv() => bail!("the terminal is gone"),
        () = tokio::time::sleep(TIME_LIMIT) => bail!("not done after {} s", TIME_LIMIT.as_secs()),
    }
}

async fn compare(args: &Args) -> anyhow::Result<()> {
    let wanted = |what| args.what.is_empty() || args.what.contains(&what);
    let all = [(What::Raw, Which::Raw), (What::Bare, Which::Bare), (What::Coco, Which::Coco)];
    let which: Vec<Which> =
        all.into_iter().filter(|(what, _)| wanted(*what)).map(|(_, which)| which).collect();
    let plan = Plan { bulk: Duration::try_from_secs_f64(args.seconds).context("--seconds")? };
    let others_use = report::others_use().await?;
    let lab = Lab::set_up(args.loopback)?;
    eprintln!("on {lab}");
    let scratch = Scratch::make()?;
    let mut report = report::Report::new(&lab, others_use);
    if !which.is_empty() {
        let field = Field::set_up(&lab, &which, scratch.path()).await?;
        let rounds = tunnels(args, &lab, &field, &plan).await?;
        report.add_tunnels(&field.contenders, &rounds);
    }
    if wanted(What::Relays) {
        report.relays = Some(relay::compare(&lab, &plan, args.rounds, scratch.path()).await?);
    }
    if wanted(What::Ip) {
        report.ip = ip::compare(&lab, &plan, args.rounds, scratch.path()).await?;
    }
    if wanted(What::Dashboard) {
        report.dashboards = Some(dashboard::compare(args.rounds, scratch.path()).await?);
    }
    println!("\n{report}");
    let file = report.save()?;
    eprintln!("\nall figures: {}", file.display());
    Ok(())
}

async fn tunnels(
    args: &Args,
    lab: &Lab,
    field: &Field,
    plan: &Plan,
) -> anyhow::Result<Vec<Vec<measure::Figures>>> {
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        let mut figures = Vec::new();
        for contender in &field.contenders {
            eprintln!("round {round}/{}: {}", args.rounds, contender.which);
            let measured = measure::round(lab, contender, plan).await;
            figures.push(measured.with_context(|| format!("measuring {}", contender.which))?);
        }
        rounds.push(figures);
    }
    Ok(rounds)
}
