//! Real cameras: GStreamer's server, which does what it is told, and VLC's, which does what it can.

use std::path::PathBuf;

use crate::support::net::{Lab, free_port};
use crate::support::process::{Process, run_well};
use crate::support::programs::{command, python, source, theirs};
use crate::support::wait::{PATIENCE, is, until};

/// Pictures a second of all cameras here.
pub(crate) const RATE: u64 = 15;

/// How long VLC's film is: longer than any test looks at it.
const FILM: &str = "600";

/// Who VLC runs as: it refuses to be root.
const NOBODY: &str = "65534";

/// Which transports a camera takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Udp,
    Tcp,
    Both,
}

impl Takes {
    pub(crate) const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Both];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Both => "both",
        }
    }
}

/// `camera.py`.
pub(crate) struct Gst {
    process: Process,
    url: String,
}

impl Gst {
    /// With films `(mount, pictures)`, each its own for everybody who plays it; one of no pictures goes on for
    /// ever and is shared.
    pub(crate) fn start(lab: &Lab, takes: Takes, login: Option<&str>, mounts: &[(String, u64)]) -> Self {
        let mut camera = command(python("gi", "python3-gi"));
        camera.arg(source("tests/rtsp/camera.py")).args(["--protocols", takes.word()]);
        camera.args(login.iter().flat_map(|login| ["--login", login]));
        camera.args(mounts.iter().map(|(mount, pictures)| format!("{mount}={pictures}")));
        let mut process = lab.start(&format!("camera-{}", takes.word()), &camera);
        let url = process.says("rtsp://");
        Self { process, url }
    }

    /// Where a film is.
    pub(crate) fn url(&self, mount: &str) -> String {
        format!("{}/{mount}", self.url)
    }

    /// How many pictures of a film it has sent, once that is over.
    pub(crate) fn sent(&mut self, mount: &str) -> u64 {
        let line = self.process.says(&format!("sent {mount} "));
        line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap()
    }

    /// Wait until nobody plays a film any more.
    pub(crate) fn left(&mut self, mount: &str) {
        self.process.says(&format!("left {mount} "));
    }

    /// How many sessions it was asked for.
    pub(crate) fn sessions(&self) -> usize {
        String::from_utf8_lossy(&self.process.output())
            .lines()
            .filter(|line| line.starts_with("session "))
            .count()
    }
}

/// VLC, which plays a film to whoever comes, from where it is just then.
pub(crate) struct Vlc {
    _process: Process,
    url: String,
}

impl Vlc {
    pub(crate) fn start(lab: &Lab) -> Self {
        let (home, port) = (lab.path("vlc"), free_port());
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
        let film = film(&home);
        let url = format!("rtsp://127.0.0.1:{port}/film");
        let mut vlc = command(theirs("setpriv"));
        vlc.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(theirs("cvlc"));
        vlc.env("HOME", &home).env_remove("DBUS_SESSION_BUS_ADDRESS");
        vlc.args(["-I", "dummy"]).arg(film).args(["--sout", &format!("#rtp{{sdp={url}}}")]);
        let mut process = lab.start("vlc", &vlc);
        until("VLC listens", PATIENCE, || {
            process.assert_runs();
            is(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "connection refused")
        });
        Self { _process: process, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// Ten seconds of pictures, again and again without a seam.
fn film(home: &std::path::Path) -> PathBuf {
    let (once, film) = (home.join("once.mp4"), home.join("film.mp4"));
    let mut ffmpeg = command(theirs("ffmpeg"));
    ffmpeg.args([
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        &format!("testsrc=size=320x240:rate={RATE}:duration=10"),
    ]);
    ffmpeg.args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "15"]);
    run_well(ffmpeg.arg(&once));
    let mut ffmpeg = command(theirs("ffmpeg"));
    ffmpeg.args(["-v", "error", "-stream_loop", "-1", "-i"]).arg(&once);
    run_well(ffmpeg.args(["-t", FILM, "-c", "copy"]).arg(&film));
    film
}
