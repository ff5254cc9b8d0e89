//! Processes that hold a socket.

use std::fs;
use std::path::{Path, PathBuf};

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// The program it runs.
    pub(super) exe: Option<PathBuf>,
    /// The systemd unit it belongs to.
    pub(super) unit: Option<String>,
}

/// All that hold the socket `inode`, as far as this process may look into them.
pub(super) fn holders(inode: u64) -> Vec<Process> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_number))
        .map(|entry| entry.path())
        .filter(|path| holds(path, &wanted))
        .map(|path| Process {
            exe: fs::read_link(path.join("exe")).ok(),
            unit: fs::read_to_string(path.join("cgroup")).ok().and_then(|text| unit(&text)),
        })
        .collect()
}

fn holds(process: &Path, wanted: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == wanted))
}

/// The innermost unit in `/proc/PID/cgroup`.
fn unit(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| {
        // Version 2, or systemd's own hierarchy of version 1.
        line.strip_prefix("0::").or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    })?;
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    path.rsplit('/').find(is_unit).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_holder_of_a_socket_is_found_by_its_program() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino();
        let found = holders(inode);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].exe, Some(std::env::current_exe().unwrap()));
        drop(socket);
        assert_eq!(holders(inode), []);
    }

    #[test]
    fn the_unit_is_the_innermost() {
        for (text, expected) in [
            ("0::/system.slice/camera.service\n", Some("camera.service")),
            ("0::/user.slice/user-0.slice/user@0.service/app.slice/tv.service/inner\n", Some("tv.service")),
            ("12:cpu:/x\n1:name=systemd:/system.slice/a.service\n", Some("a.service")),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", Some("session-3.scope")),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(unit(text).as_deref(), expected, "{text:?}");
        }
    }
}
