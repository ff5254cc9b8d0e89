//! Which daemon: the options of this call, then the environment, then the default app.

use std::env;
use std::path::{Path, PathBuf};

use coconet::control::paths::{DEFAULT_APP, Environment};
use coconet::name::Name;

use crate::args::Which;
use crate::fail::Fail;

/// The app whose daemon is meant, where `--app` is not given.
pub(crate) const APP_VARIABLE: &str = "COCO_APP";

/// The socket that is meant, where neither `--socket` nor `--app` is given.
pub(crate) const SOCKET_VARIABLE: &str = "COCO_SOCKET";

/// Where the sockets of the system's daemons are: there when any of them is.
const SYSTEM_SOCKETS: &str = "/run/coco";

/// The daemon of this call.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its control socket.
    pub(crate) socket: PathBuf,
    /// `cococtl` with the options that led here: how hints begin.
    pub(crate) me: String,
    /// The command that starts the daemon.
    pub(crate) start: String,
}

impl Place {
    /// The daemon that options and environment name. An option beats a variable, a socket an app.
    pub(crate) fn find(which: &Which) -> Result<Self, Fail> {
        if which.app.is_some() && which.socket.is_some() {
            return Err(Fail::usage("--app and --socket are two ways to name one daemon")
                .hint("give one of them; the socket is enough"));
        }
        if let Some(socket) = &which.socket {
            let me = format!("cococtl --socket {}", word(&socket.to_string_lossy()));
            return Ok(Self::at(socket.clone(), me));
        }
        if which.app.is_none()
            && let Some(socket) = variable(SOCKET_VARIABLE)
        {
            return Ok(Self::at(socket.into(), "cococtl".to_owned()));
        }
        let (app, me) = match &which.app {
            Some(app) => (app.clone(), format!("cococtl --app {app}")),
            None => (app_of_environment()?, "cococtl".to_owned()),
        };
        let socket = environment().socket(&app).ok_or_else(|| {
            Fail::usage("there is neither HOME nor XDG_RUNTIME_DIR to find the socket by")
                .hint("cococtl --socket PATH, the same path that cocod was given")
        })?;
        let root = nix::unistd::geteuid().is_root();
        let has_unit = units(root).iter().any(|dir| Path::new(dir).join("cocod@.service").exists());
        Ok(Self { start: start(&app, root, has_unit, Path::new(SYSTEM_SOCKETS).exists()), socket, me })
    }

    fn at(socket: PathBuf, me: String) -> Self {
        let start = format!("cocod --app NAME --socket {}", word(&socket.to_string_lossy()));
        Self { socket, me, start }
    }
}

/// The command that starts the daemon of `app`; where a service manager has a unit for it, that one's as well. What
/// looks like no daemon to a user may be the system's, which only root may talk to.
fn start(app: &Name, root: bool, has_unit: bool, system: bool) -> String {
    let manager = if root { "systemctl" } else { "systemctl --user" };
    let mut start = format!("cocod --app {app}");
    if has_unit {
        start += &format!(", or {manager} enable --now cocod@{app}.socket cocod@{app}.service");
    }
    if system && !root {
        start += &format!("; of a daemon of the system: sudo cococtl --app {app}");
    }
    start
}

/// Where service managers have the units of packages and administrators.
fn units(root: bool) -> [&'static str; 3] {
    if root {
        ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"]
    } else {
        ["/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"]
    }
}

fn app_of_environment() -> Result<Name, Fail> {
    let Some(app) = variable(APP_VARIABLE) else {
        return DEFAULT_APP.parse().map_err(|error| Fail::failed("no default app").because(error));
    };
    let app = app.to_string_lossy();
    app.parse().map_err(|error| {
        Fail::usage(format!("{APP_VARIABLE} is not the name of an app"))
            .because(error)
            .hint(format!("{APP_VARIABLE}={} cococtl ...", Name::closest(&app, DEFAULT_APP)))
    })
}

fn environment() -> Environment {
    // The base directory specification: a relative path is as good as none.
    let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    Environment {
        root: nix::unistd::geteuid().is_root(),
        home: directory("HOME"),
        state_home: directory("XDG_STATE_HOME"),
        runtime_dir: directory("XDG_RUNTIME_DIR"),
    }
}

/// The directories where daemons of all apps have their sockets and their state.
pub(crate) fn houses() -> Vec<PathBuf> {
    let Ok(app) = DEFAULT_APP.parse() else { return Vec::new() };
    let environment = environment();
    let socket = environment.socket(&app).and_then(|path| Some(path.parent()?.to_owned()));
    let places = environment.state_dir(&app).into_iter().chain(socket);
    places.filter_map(|place| Some(place.parent()?.to_owned())).collect()
}

/// A variable that says something.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// `text` as one word of a shell command.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_daemon_that_is_not_there_is_started_by_hand_or_by_whoever_has_a_unit_for_it() {
        let app = "camera".parse().unwrap();
        assert_eq!(start(&app, false, false, false), "cocod --app camera");
        assert_eq!(
            start(&app, true, true, true),
            "cocod --app camera, or systemctl enable --now cocod@camera.socket cocod@camera.service"
        );
        assert_eq!(
            start(&app, false, true, true),
            "cocod --app camera, or systemctl --user enable --now cocod@camera.socket cocod@camera.service; of a \
             daemon of the system: sudo cococtl --app camera"
        );
    }

    #[test]
    fn a_path_in_a_hint_can_be_pasted() {
        assert_eq!(word("/run/coco/a.sock"), "/run/coco/a.sock");
        assert_eq!(word("/tmp/it's mine"), r"'/tmp/it'\''s mine'");
        assert_eq!(word(""), "''");
    }
}
