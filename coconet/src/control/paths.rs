//! Where a daemon keeps its state and its socket when nobody says otherwise.
//!
//! One definition for the daemon that makes them and the command that looks for them. The environment
//! is an argument.

use std::path::PathBuf;

use crate::name::Name;

/// The app name when none is given.
pub const DEFAULT_APP: &str = "default";

/// File name of the socket inside a state directory that was named on the command line.
pub const SOCKET_NAME: &str = "control.sock";

/// What the defaults depend on.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Whether the process is root.
    pub root: bool,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

impl Environment {
    /// The state directory of an app: `/var/lib/coco/APP` for root, else
    /// `$XDG_STATE_HOME/coco/APP`, else `~/.local/state/coco/APP`. `None` without a home.
    pub fn state_dir(&self, app: &Name) -> Option<PathBuf> {
        let base = if self.root {
            PathBuf::from("/var/lib")
        } else {
            self.state_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/state")))?
        };
        Some(base.join("coco").join(app.as_str()))
    }

    /// The control socket of an app: `/run/coco/APP/control.sock` for root, else
    /// `$XDG_RUNTIME_DIR/coco/APP/control.sock`, else inside the state directory.
    pub fn socket(&self, app: &Name) -> Option<PathBuf> {
        let run = if self.root { Some(PathBuf::from("/run")) } else { self.runtime_dir.clone() };
        let dir = match run {
            Some(run) => run.join("coco").join(app.as_str()),
            None => self.state_dir(app)?,
        };
        Some(dir.join(SOCKET_NAME))
    }
}
