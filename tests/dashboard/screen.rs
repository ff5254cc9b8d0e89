//! A terminal with the dashboard in it: tmux, driven by its own commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::net::{App, Lab};
use crate::support::process::run_well;
use crate::support::programs::{command, ours, theirs};
use crate::support::wait::{PATIENCE, is, until};

/// The terminal; it ends with this value.
pub(crate) struct Screen {
    socket: PathBuf,
}

impl Screen {
    /// The dashboard of an app's daemon, so many characters wide and high.
    pub(crate) fn of(lab: &Lab, app: &App, width: u16, height: u16) -> Self {
        Self::with(lab, app, (width, height), &[])
    }

    /// The same, with that in its environment.
    pub(crate) fn with(lab: &Lab, app: &App, size: (u16, u16), environment: &[(&str, &str)]) -> Self {
        Self::running(lab, &app.ctl_command(&["dashboard"]), size, environment)
    }

    /// The dashboard of whoever listens on that control socket.
    pub(crate) fn on(lab: &Lab, socket: &Path, width: u16, height: u16) -> Self {
        let mut dashboard = command(ours("cococtl"));
        dashboard.arg("--socket").arg(socket).arg("dashboard");
        Self::running(lab, &dashboard, (width, height), &[])
    }

    fn running(lab: &Lab, dashboard: &Command, size: (u16, u16), environment: &[(&str, &str)]) -> Self {
        let screen = Self { socket: lab.path("tmux") };
        let words = [dashboard.get_program()].into_iter().chain(dashboard.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let mut tmux = command(theirs("tmux"));
        tmux.env("LC_ALL", "C.UTF-8").env_remove("TMUX").env_remove("NO_COLOR");
        for (name, value) in environment {
            tmux.env(name, value);
        }
        let [width, height] = [size.0, size.1].map(|size| size.to_string());
        tmux.arg("-S").arg(&screen.socket).args([
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &width,
            "-y",
            &height,
        ]);
        // The pane stays after the dashboard, to see what it leaves.
        run_well(tmux.arg(format!("{}; echo left with $?; exec cat", line.join(" "))));
        screen
    }

    /// Wait until all of this is on the screen.
    pub(crate) fn shows(&mut self, words: &[&str]) {
        until(&format!("the screen shows {words:?}"), PATIENCE, || {
            let text = self.text();
            is(words.iter().all(|word| text.contains(word)), text)
        });
    }

    /// Wait until this is not on the screen.
    pub(crate) fn shows_no_more(&mut self, word: &str) {
        until(&format!("the screen shows {word:?} no more"), PATIENCE, || {
            let text = self.text();
            is(!text.contains(word), text)
        });
    }

    /// Press keys, by tmux's names.
    pub(crate) fn keys(&mut self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Another size.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        let [width, height] = [width, height].map(|size| size.to_string());
        self.tmux(&["resize-window", "-x", &width, "-y", &height]);
    }

    /// What is on the screen, with its colours.
    pub(crate) fn raw(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Write down all that the dashboard writes from now on.
    pub(crate) fn record(&self, file: &Path) {
        self.tmux(&["pipe-pane", &format!("cat > '{}'", file.display())]);
        until("it is written down", PATIENCE, || is(file.exists(), "nobody does it yet"));
    }

    /// Send the dashboard a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// The dashboard's resident memory at most so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    fn pid(&self) -> i32 {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let children = format!("/proc/{0}/task/{0}/children", shell.trim());
        let child = std::fs::read_to_string(children).unwrap();
        child.trim().parse().unwrap()
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn tmux(&self, words: &[&str]) -> String {
        run_well(command(theirs("tmux")).arg("-S").arg(&self.socket).args(words))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
