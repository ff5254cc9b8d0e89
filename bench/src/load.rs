//! The application: makes traffic to an address and prints what came of it as JSON.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::target::{BLOCK, ECHO, SINK, SOURCE};

/// Bytes of one message of the round trip.
const MESSAGE: usize = 64;

/// Round trips and connections before any counts.
const WARM_UP: usize = 100;

/// No answer for so long is a failure, not a slow answer.
const STUCK: Duration = Duration::from_secs(15);

/// What to do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Send as much as goes through.
    Up,
    /// Receive as much as comes.
    Down,
    /// One message there and back, again and again.
    RoundTrip,
    /// A connection, a byte there and back, again and again.
    Connect,
}

#[derive(Debug, Args)]
pub(crate) struct Job {
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Streams at once (up, down), or repetitions (round-trip, connect).
    pub(crate) count: usize,
    /// How long (up, down).
    pub(crate) milliseconds: u32,
}

/// What a bulk transfer moved.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bulk {
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// How long something took, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

pub(crate) fn run(job: &Job) -> anyhow::Result<()> {
    let said = match job.kind {
        Kind::Up | Kind::Down => serde_json::to_string(&bulk(job)?)?,
        Kind::RoundTrip => serde_json::to_string(&times(round_trips(job)?)?)?,
        Kind::Connect => serde_json::to_string(&times(connects(job)?)?)?,
    };
    println!("{said}");
    Ok(())
}

fn bulk(job: &Job) -> anyhow::Result<Bulk> {
    let started = Instant::now();
    let one = |kind| match kind {
        Kind::Up => send(job.address, Duration::from_millis(job.milliseconds.into())),
        Kind::Down | Kind::RoundTrip | Kind::Connect => receive(job.address, job.milliseconds),
    };
    let moved = std::thread::scope(|scope| {
        let streams: Vec<_> = (0..job.count).map(|_| scope.spawn(|| one(job.kind))).collect();
        streams.into_iter().map(|stream| stream.join().expect("no stream panics")).sum::<io::Result<u64>>()
    });
    Ok(Bulk { bytes: moved?, seconds: started.elapsed().as_secs_f64() })
}

fn send(address: SocketAddr, duration: Duration) -> io::Result<u64> {
    let mut stream = connect(address)?;
    stream.write_all(&[SINK])?;
    let block = vec![0x5a; BLOCK];
    let until = Instant::now() + duration;
    while Instant::now() < until {
        stream.write_all(&block)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut taken = [0; 8];
    stream.read_exact(&mut taken)?;
    Ok(u64::from_be_bytes(taken))
}

fn receive(address: SocketAddr, milliseconds: u32) -> io::Result<u64> {
    let mut stream = connect(address)?;
    let mut request = vec![SOURCE];
    request.extend_from_slice(&milliseconds.to_be_bytes());
    stream.write_all(&request)?;
    let (mut block, mut taken) = (vec![0; BLOCK], 0);
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(taken),
            count => taken += count as u64,
        }
    }
}

fn round_trips(job: &Job) -> io::Result<Vec<Duration>> {
    let mut stream = connect(job.address)?;
    let mut message = [ECHO; MESSAGE];
    let mut one = || {
        let started = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        Ok(started.elapsed())
    };
    (0..WARM_UP + job.count).map(|_| one()).collect()
}

fn connects(job: &Job) -> io::Result<Vec<Duration>> {
    let one = || {
        let started = Instant::now();
        let mut stream = connect(job.address)?;
        let mut byte = [ECHO];
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        drop(stream);
        Ok(started.elapsed())
    };
    (0..WARM_UP + job.count).map(|_| one()).collect()
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, STUCK)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STUCK))?;
    stream.set_write_timeout(Some(STUCK))?;
    Ok(stream)
}

fn times(taken: Vec<Duration>) -> anyhow::Result<Times> {
    let mut taken = taken.get(WARM_UP..).context("too few")?.to_vec();
    taken.sort_unstable();
    let at = |part: usize| taken.get(taken.len() * part / 100).map(|time| time.as_secs_f64() * 1e6);
    Ok(Times { p50: at(50).context("none")?, p99: at(99).context("none")? })
}
