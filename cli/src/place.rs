//! Which daemon: the options of this call, then the environment, then the default app.

use std::env;
use std::path::PathBuf;

use coconet::control::paths::{DEFAULT_APP, Environment};
use coconet::name::Name;

use crate::args::Which;
use crate::fail::Fail;

/// The app whose daemon is meant, where `--app` is not given.
pub(crate) const APP_VARIABLE: &str = "COCO_APP";

/// The socket that is meant, where neither `--socket` nor `--app` is given.
pub(crate) const SOCKET_VARIABLE: &str = "COCO_SOCKET";

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
        Ok(Self { socket, me, start: format!("cocod --app {app}") })
    }

    fn at(socket: PathBuf, me: String) -> Self {
        let start = format!("cocod --app NAME --socket {}", word(&socket.to_string_lossy()));
        Self { socket, me, start }
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
    use super::*;

    #[test]
    fn a_path_in_a_hint_can_be_pasted() {
        assert_eq!(word("/run/coco/a.sock"), "/run/coco/a.sock");
        assert_eq!(word("/tmp/it's mine"), r"'/tmp/it'\''s mine'");
        assert_eq!(word(""), "''");
    }
}
