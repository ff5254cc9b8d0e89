//! What a program inside must not see: sockets by which it could have others outside send for it.
//!
//! A unix socket is a file, and no network namespace keeps a program from one: a message bus starts
//! programs, a name service asks name servers, a daemon of coco opens tunnels. Directories where such
//! sockets come and go are empty inside. Of the others all that are there at the start are covered, one by one, as
//! the system lists them. What a display and a sound server listen on stays: those are what many programs are for.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

use super::words::Hidden;
use crate::fail::Fail;
use crate::place;

/// Most sockets that are covered one by one.
const SOCKETS_MAX: usize = 4096;

/// Where the sockets of the system's own services are: buses, name services, the service manager.
const SERVICES: [&str; 4] = ["/run/dbus", "/run/systemd", "/run/nscd", "/run/avahi-daemon"];

/// Where X servers listen.
const X11: &str = "/tmp/.X11-unix";

/// What sound servers and compositors listen on in a user's runtime directory.
const SHOWN: [&str; 2] = ["pulse/native", "pipewire-0"];

/// What listens there now and is hidden.
pub(super) fn find(control: &Path) -> Result<Hidden, Fail> {
    let listed = fs::read("/proc/net/unix").map_err(|error| {
        let fail = Fail::failed("cannot tell which sockets there are").because(error);
        fail.hint("ls -l /proc/net/unix: the kernel has to have it, and a container to show it")
    })?;
    let directories = directories();
    let shown = shown();
    let own = fs::canonicalize(control).ok();
    let mut sockets: Vec<PathBuf> = own
        .into_iter()
        .chain(bound(&listed).into_iter().filter(|path| is_reachable(path)))
        .filter(|path| !is_display(path, &shown) && !directories.iter().any(|dir| path.starts_with(dir)))
        .collect();
    sockets.sort();
    sockets.dedup();
    if sockets.len() > SOCKETS_MAX {
        return Err(Fail::failed(format!(
            "more than {SOCKETS_MAX} sockets listen on this machine, and each of them would have to be hidden"
        ))
        .hint("ss -lx lists them"));
    }
    let bytes =
        |paths: Vec<PathBuf>| paths.into_iter().map(|path| path.into_os_string().into_vec()).collect();
    let shown =
        shown.into_iter().filter(|path| directories.iter().any(|dir| path.starts_with(dir))).collect();
    Ok(Hidden { directories: bytes(directories), sockets: bytes(sockets), shown: bytes(shown) })
}

/// The directories that are empty inside, links resolved, no one below another.
fn directories() -> Vec<PathBuf> {
    let runtime = variable("XDG_RUNTIME_DIR").or_else(|| Some(format!("/run/user/{}", geteuid()).into()));
    let wanted = SERVICES.into_iter().map(PathBuf::from).chain(runtime).chain(place::houses());
    let mut found: Vec<PathBuf> =
        wanted.filter_map(|path| fs::canonicalize(path).ok()).filter(|path| path.is_dir()).collect();
    // An environment that says so would leave nothing.
    found.retain(|path| path != Path::new("/"));
    found.sort();
    found.dedup_by(|below, above| below.starts_with(above));
    found
}

/// What stays, of what is there.
fn shown() -> Vec<PathBuf> {
    let Some(runtime) = variable("XDG_RUNTIME_DIR").and_then(|path| fs::canonicalize(path).ok()) else {
        return Vec::new();
    };
    let entries = fs::read_dir(&runtime).into_iter().flatten().flatten();
    let wayland = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        name.starts_with(b"wayland-") && is_socket(path)
    });
    let sound = SHOWN.iter().map(|name| runtime.join(name)).filter(|path| is_socket(path));
    // How X tells its own user from others.
    let cookie = variable("XAUTHORITY").filter(|path| path.starts_with(&runtime) && path.is_file());
    wayland.chain(sound).chain(cookie).collect()
}

/// The paths of sockets that somebody could talk to, as `/proc/net/unix` lists them.
fn bound(listed: &[u8]) -> Vec<PathBuf> {
    /// Set on a stream socket that accepts connections.
    const ACCEPTS: u32 = 1 << 16;
    const DATAGRAM: u32 = 2;
    let hex = |word: &[u8]| {
        std::str::from_utf8(word).ok().and_then(|word| u32::from_str_radix(word, 16).ok()).unwrap_or_default()
    };
    let path = |line: &[u8]| {
        let mut rest = line;
        let mut words = [&rest[..0]; 7];
        for word in &mut words {
            rest = rest.trim_ascii_start();
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            (*word, rest) = rest.split_at(end);
        }
        let path = rest.strip_prefix(b" ")?;
        let open = hex(words[3]) & ACCEPTS != 0 || hex(words[4]) == DATAGRAM;
        (open && path.starts_with(b"/")).then(|| PathBuf::from(OsStr::from_bytes(path)))
    };
    listed.split(|byte| *byte == b'\n').filter_map(path).collect()
}

/// Whether this user could connect to it: the others need no cover.
fn is_reachable(path: &Path) -> bool {
    is_socket(path) && access(path, AccessFlags::W_OK).is_ok()
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

fn is_display(path: &Path, shown: &[PathBuf]) -> bool {
    let sound = variable("PULSE_SERVER").is_some_and(|server| {
        server.as_os_str().as_bytes().strip_prefix(b"unix:") == Some(path.as_os_str().as_bytes())
    });
    path.starts_with(X11) || sound || shown.iter().any(|known| known == path)
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_take_connections_or_datagrams_are_found() {
        let listed = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  1 /run/listens\n\
            0000000000000000: 00000003 00000000 00000000 0001 03  2 /run/connected\n\
            0000000000000000: 00000002 00000000 00000000 0002 01  3 /run/datagrams\n\
            0000000000000000: 00000002 00000000 00010000 0005 01  4 /run/with a space\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  5 @/abstract\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  6 relative\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  7\n\
            nonsense\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 12345678 /run/\xff\n";
        let expected: Vec<PathBuf> =
            [&b"/run/listens"[..], b"/run/datagrams", b"/run/with a space", b"/run/\xff"]
                .map(|path| PathBuf::from(OsStr::from_bytes(path)))
                .into();
        assert_eq!(bound(listed), expected);
    }
}
