//! The shells: asked what they would offer, or typed into.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::net::{App, Lab};
use crate::support::process::run_well;
use crate::support::programs::{command, ours, theirs};
use crate::support::wait::{PATIENCE, is, until};

/// What bash does at a Tab: it calls the function of the script with the words in `COMP_WORDS`.
const BASH: &str = r#"
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
_clap_complete_cococtl "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
for candidate in "${COMPREPLY[@]}"; do printf '%s\n' "${candidate% }"; done
"#;

/// What bash offers for the last of `words`.
pub(crate) fn bash(app: &App, words: &[&str]) -> Vec<String> {
    let mut bash = shell(app, "bash");
    bash.args(["--norc", "--noprofile", "-c", BASH, "bash"]).arg(script("cococtl.bash"));
    lines(&run_well(bash.arg("cococtl").args(words)))
}

/// What fish offers for the last of `words`.
pub(crate) fn fish(app: &App, words: &[&str]) -> Vec<String> {
    let mut fish = shell(app, "fish");
    fish.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]).arg(script("cococtl.fish"));
    let line = format!("cococtl {}", words.join(" "));
    let offered = run_well(fish.arg(line));
    lines(&offered).iter().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The script in the tree, as it is installed.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(name)
}

/// A shell that finds `cococtl`, which finds the daemon.
fn shell(app: &App, program: &str) -> Command {
    let mut shell = command(theirs(program));
    let ours = ours("cococtl").parent().unwrap().to_owned();
    shell.env("PATH", format!("{}:/usr/bin:/bin", ours.display())).env("COCO_SOCKET", app.socket());
    shell.env("LC_ALL", "C.UTF-8").env_remove("TMUX");
    shell
}

/// A shell in a terminal that somebody types into; it ends with this value.
pub(crate) struct Typing {
    socket: PathBuf,
}

impl Typing {
    pub(crate) fn of(lab: &Lab, app: &App, program: &str) -> Self {
        let typing = Self { socket: lab.path(&format!("{program}.tmux")) };
        let home = lab.path(&format!("{program}.home"));
        fs::create_dir(&home).unwrap();
        let bash = format!("PS1='ready> '; source '{}'\n", script("cococtl.bash").display());
        fs::write(home.join("bashrc"), bash).unwrap();
        let functions = script("_cococtl").parent().unwrap().display().to_string();
        let zsh =
            format!("PS1='ready> '; fpath=('{functions}' $fpath); autoload -Uz compinit; compinit -u -D\n");
        fs::write(home.join(".zshrc"), zsh).unwrap();
        let line = match program {
            "bash" => format!("exec '{}' --noprofile --rcfile bashrc -i", theirs("bash").display()),
            _ => format!("exec '{}' -d -i", theirs(program).display()),
        };
        let mut tmux = shell(app, "tmux");
        tmux.current_dir(&home).env("ZDOTDIR", &home).env("HOME", &home).arg("-S").arg(&typing.socket);
        run_well(tmux.args(["-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "30", &line]));
        typing.waits();
        typing
    }

    /// Type a text, then keys by tmux's names.
    pub(crate) fn keys(&mut self, text: &str, keys: &[&str]) {
        self.tmux(&["send-keys", "-l", text]);
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Wait until this is on the screen.
    pub(crate) fn shows(&mut self, text: &str) {
        until(&format!("the terminal shows {text:?}"), PATIENCE, || {
            let screen = self.tmux(&["capture-pane", "-p"]);
            is(screen.contains(text), screen)
        });
    }

    /// Wait until the shell has said that it is ready.
    fn waits(&self) {
        until("the shell is ready", PATIENCE, || {
            let screen = self.tmux(&["capture-pane", "-p"]);
            is(screen.contains("ready>"), screen)
        });
    }

    fn tmux(&self, words: &[&str]) -> String {
        run_well(command(theirs("tmux")).arg("-S").arg(&self.socket).args(words))
    }
}

impl Drop for Typing {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
