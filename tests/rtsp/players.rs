//! Real players. VLC is none: the one that Debian has is built without `live555`, its RTSP client, whose words the
//! scripted [`Viewer`](crate::viewer::Viewer) speaks instead.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::cameras::RATE;
use crate::rtp::{CLOCK, Counter, Played};
use crate::support::process::run;
use crate::support::programs::{clean, command, python, source, theirs};
use crate::viewer::Viewer;

/// What a player may take longer than the film: to begin, and to see that it is over.
const SLACK: Duration = Duration::from_secs(30);

/// How a player wants its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub(crate) const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Player {
    Ffmpeg,
    Rtspsrc,
    /// Our own, in the words of VLC's.
    Scripted,
}

impl Player {
    pub(crate) const ALL: [Self; 3] = [Self::Ffmpeg, Self::Rtspsrc, Self::Scripted];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Rtspsrc => "GStreamer rtspsrc",
            Self::Scripted => "scripted, in live555's words",
        }
    }

    /// Play a film of that length to its end, or an endless one for so long.
    pub(crate) fn play(self, url: &str, transport: Transport, film: Film) -> Result<Played, String> {
        match self {
            Self::Ffmpeg => ffmpeg(url, transport, film),
            Self::Rtspsrc => rtspsrc(url, transport, film),
            Self::Scripted => scripted(url, transport, film),
        }
    }
}

/// What is to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Film {
    /// Of so many pictures.
    Whole(u64),
    /// Of an endless one, so many.
    Part(u64),
}

impl Film {
    fn time(self) -> Duration {
        let (Self::Whole(pictures) | Self::Part(pictures)) = self;
        Duration::from_millis(pictures * 1000 / RATE)
    }
}

fn ffmpeg(url: &str, transport: Transport, film: Film) -> Result<Played, String> {
    let mut ffmpeg = command(theirs("ffmpeg"));
    ffmpeg.args(["-v", "error", "-rtsp_transport", transport.word(), "-i", url, "-c", "copy", "-copyinkf"]);
    if let Film::Part(_) = film {
        ffmpeg.args(["-t", &film.time().as_secs_f32().to_string()]);
    }
    let told = ends_well(ffmpeg.args(["-f", "framecrc", "pipe:1"]), film)?;
    let lines = told.lines().filter(|line| !line.starts_with('#'));
    let stamps: Vec<i64> = lines.filter_map(|line| line.split(',').nth(2)?.trim().parse().ok()).collect();
    let ticks = i64::from(CLOCK) / i64::try_from(RATE).unwrap_or(1);
    let span =
        stamps.iter().max().zip(stamps.iter().min()).map_or(0, |(last, first)| (last - first) / ticks + 1);
    Ok(Played { pictures: stamps.len() as u64, span: span.unsigned_abs(), lost: 0 })
}

fn rtspsrc(url: &str, transport: Transport, film: Film) -> Result<Played, String> {
    let mut player = clean(Command::new(python("gi", "python3-gi")));
    player.arg(source("tests/rtsp/player.py")).args([url, transport.word()]);
    if let Film::Part(_) = film {
        player.arg(film.time().as_secs_f32().to_string());
    }
    let told = ends_well(&mut player, film)?;
    let numbers = told.lines().find_map(|line| line.strip_prefix("played "));
    let numbers: Vec<u64> =
        numbers.unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
    let [pictures, span, lost] = numbers[..] else { return Err(format!("it said {told:?}")) };
    Ok(Played { pictures, span, lost })
}

fn scripted(url: &str, transport: Transport, film: Film) -> Result<Played, String> {
    let mut viewer = Viewer::open(url, transport).map_err(|error| error.to_string())?;
    viewer.start()?;
    let (mut counter, began) = (Counter::default(), Instant::now());
    let until = began + film.time() + if let Film::Whole(_) = film { SLACK } else { Duration::ZERO };
    viewer.receive(until, |packet| counter.take(packet)).map_err(|error| error.to_string())?;
    viewer.teardown()?;
    Ok(counter.played(RATE))
}

/// The output of a player that has to end well; its last words otherwise.
fn ends_well(player: &mut Command, film: Film) -> Result<String, String> {
    let ran = run(player, b"", film.time() + SLACK);
    if ran.code == 0 {
        return Ok(ran.stdout);
    }
    let mut lines = ran.stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    Err(lines.next().unwrap_or("it failed and said nothing").to_owned())
}
