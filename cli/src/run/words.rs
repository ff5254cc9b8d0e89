//! What this process and process 1 of the namespace say to each other: a line of JSON each.

use coconet::control::RunName;
use serde::{Deserialize, Serialize};

/// Longest line, in bytes. What is to be hidden is the longest: some thousand paths, as numbers.
pub(super) const WORD_MAX: usize = 4 * 1024 * 1024;

/// To process 1.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// The first: what is hidden there.
    Arrange(Hidden),
    /// The hosts file is this from now on.
    Hosts(String),
    /// Start the command.
    Start,
    /// Send it a signal.
    Signal(i32),
}

/// From process 1.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Told {
    /// Everything is in its place.
    Arranged,
    /// It is over before it has begun.
    Failed(Failed),
    /// The command has stopped.
    Stopped,
}

/// Why.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The exit code.
    pub(crate) code: u8,
    /// What.
    pub(crate) text: String,
    /// Why that.
    pub(crate) cause: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// What a program inside does not see. Paths are bytes: not all are text.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hidden {
    /// Directories that are empty there.
    pub(super) directories: Vec<Vec<u8>>,
    /// Sockets that are nothing there.
    pub(super) sockets: Vec<Vec<u8>>,
    /// What is there all the same, below the directories.
    pub(super) shown: Vec<Vec<u8>>,
}

/// One line for a message.
pub(super) fn line(message: &impl Serialize) -> Vec<u8> {
    // Our own types have no map keys or numbers that JSON could refuse.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The hosts file.
pub(super) fn hosts(names: &[RunName]) -> String {
    let mut text = "# made by cococtl run\n127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for RunName { host, address, kind, port } in names {
        // A name with anything else in it was not made by a daemon of ours.
        if host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            text.push_str(&format!("{address} {host} # {kind}, port {port}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::resource::Kind;

    use super::*;

    #[test]
    fn the_hosts_file_names_resources_and_says_their_ports() {
        let name = |host: &str| RunName {
            host: host.to_owned(),
            address: "127.64.0.1".parse().unwrap(),
            kind: Kind::Rtsp,
            port: 554,
        };
        let told = hosts(&[name("front-door.home.coco"), name("x\n127.0.0.9 bank.example")]);
        assert_eq!(
            told,
            "# made by cococtl run\n127.0.0.1 localhost\n::1 localhost\n\
             127.64.0.1 front-door.home.coco # rtsp, port 554\n"
        );
    }
}
