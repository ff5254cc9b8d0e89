//! What the command sees of the file system: everything, with a few things covered.
//!
//! The mounts are those of this namespace alone, and nothing that is mounted outside comes in later. The files that
//! give hosts their names are on a file system in memory, which is taken off its place once the files are mounted where they
//! belong: it was at `/proc` for a moment, a directory that exists everywhere, and gives way to a `/proc` that
//! shows the processes of this namespace only.
//!
//! The hosts file is written anew where it is: a program that reads it meanwhile may see the end of the old one.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::libc::O_PATH;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::super::words::{Failed, Hidden, hosts};
use super::return_to;

/// Where process information is, and for a moment the new files.
const PROC: &str = "/proc";

/// Longest `nsswitch.conf` that is read, in bytes.
const NSSWITCH_MAX: u64 = 64 * 1024;

/// Mounts that are looked at.
const MOUNTS_MAX: usize = 4096;

/// How large an emptied directory may grow inside.
const EMPTIED: &str = "size=256m";

const NONE: Option<&str> = None;

/// The hosts file.
#[derive(Debug)]
pub(super) struct Hosts(File);

impl Hosts {
    /// It is this from now on.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all_at(text.as_bytes(), 0)?;
        self.0.set_len(text.len() as u64)
    }
}

/// Cover what is to be hidden, and put the new files into their places.
pub(super) fn arrange(hidden: &Hidden) -> Result<Hosts, Failed> {
    let here = env::current_dir();
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| {
        Failed::new("cannot make a mount namespace", error)
            .hint("AppArmor or another security module may forbid it to cococtl")
    })?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(|error| Failed::new("cannot part from the mounts outside", error))?;
    without_privileged_files();
    hide_directories(hidden)?;
    let hosts = put_files(hidden)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), PROC, Some("proc"), flags, NONE).map_err(|error| {
        Failed::new("cannot mount a /proc for the namespace", error).hint(
            "where a container hides parts of /proc, none can be mounted inside: run it outside of that",
        )
    })?;
    // By its path: what is covered now would still be there by the old way.
    return_to(here)?;
    Ok(hosts)
}

/// Let no file give rights to whoever executes it. None could be had, and a program that its file promises some (as
/// `ping`, on many systems) could not even be started. What cannot be changed stays as it is.
fn without_privileged_files() {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return };
    for (place, flags) in mounts.lines().take(MOUNTS_MAX).filter_map(mounted) {
        let flags = flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID;
        let _ = mount(NONE, place.as_str(), NONE, flags, NONE);
    }
}

/// Where something is mounted, and how, by a line of `mountinfo` (proc_pid_mountinfo(5)). Places with spaces in their
/// names are left alone.
fn mounted(line: &str) -> Option<(String, MsFlags)> {
    let mut words = line.split(' ').skip(4);
    let (place, options) = (words.next()?, words.next()?);
    // What is set outside is not taken away inside.
    let flag = |option| match option {
        "ro" => MsFlags::MS_RDONLY,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    };
    Some((place.to_owned(), options.split(',').map(flag).collect()))
}

/// Empty the directories, but for what is shown.
fn hide_directories(hidden: &Hidden) -> Result<(), Failed> {
    // Held open: their paths lead elsewhere in a moment.
    let held: Vec<(&Path, File)> = hidden
        .shown
        .iter()
        .map(|bytes| path(bytes))
        .filter_map(|path| Some((path, OpenOptions::new().read(true).custom_flags(O_PATH).open(path).ok()?)))
        .collect();
    for directory in hidden.directories.iter().map(|bytes| path(bytes)) {
        let failed = |error: io::Error| Failed::new(&format!("cannot hide {}", directory.display()), error);
        let mode = fs::metadata(directory).map_err(failed)?.permissions().mode() & 0o777;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let options = format!("mode={mode:o},{EMPTIED}");
        mount(Some("tmpfs"), directory, Some("tmpfs"), flags, Some(options.as_str()))
            .map_err(|error| failed(error.into()))?;
    }
    for (place, file) in held {
        let failed = |error: io::Error| Failed::new(&format!("cannot show {}", place.display()), error);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        File::create(place).map_err(failed)?;
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        bind(Path::new(&source), place).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// The files about names, and nothing for each socket that is hidden.
fn put_files(hidden: &Hidden) -> Result<Hosts, Failed> {
    let failed = |error: io::Error| Failed::new("cannot make the files about names", error);
    // Read before anything is covered.
    let switch = nsswitch(&read_some("/etc/nsswitch.conf").map_err(failed)?);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), PROC, Some("tmpfs"), flags, Some("mode=755,size=4m"))
        .map_err(|error| failed(error.into()))?;
    let made = |name: &str| Path::new(PROC).join(name);
    let mut file = Hosts(File::create_new(made("hosts")).map_err(failed)?);
    file.write(&hosts(&[])).map_err(failed)?;
    fs::write(made("nsswitch"), switch).map_err(failed)?;
    fs::write(made("nothing"), "").map_err(failed)?;
    put(&made("hosts"), Path::new("/etc/hosts")).map_err(|error| {
        Failed::new("cannot put a file in the place of /etc/hosts", error)
            .hint("there has to be one: touch /etc/hosts")
    })?;
    // Whoever has none of these gets along without.
    put_if_there(&made("nsswitch"), Path::new("/etc/nsswitch.conf"))?;
    put_if_there(&made("nothing"), Path::new("/etc/resolv.conf"))?;
    for socket in &hidden.sockets {
        put_if_there(&made("nothing"), path(socket))?;
    }
    umount2(PROC, MntFlags::MNT_DETACH).map_err(|error| failed(error.into()))?;
    Ok(file)
}

fn put_if_there(source: &Path, place: &Path) -> Result<(), Failed> {
    match put(source, place) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(Failed::new(&format!("cannot cover {}", place.display()), error)),
    }
}

/// Bind a file to its place, where it cannot be written.
fn put(source: &Path, place: &Path) -> nix::Result<()> {
    bind(source, place)?;
    let flags = MsFlags::MS_BIND
        | MsFlags::MS_REMOUNT
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV
        | MsFlags::MS_NOEXEC;
    mount(NONE, place, NONE, flags, NONE)
}

fn bind(source: &Path, place: &Path) -> nix::Result<()> {
    mount(Some(source), place, NONE, MsFlags::MS_BIND, NONE)
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn read_some(path: &str) -> io::Result<String> {
    use std::io::Read;
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(NSSWITCH_MAX).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The same, with the hosts file as the only source of hosts.
fn nsswitch(text: &str) -> String {
    let others = text.lines().filter(|line| !line.trim_start().starts_with("hosts:"));
    let others: String = others.map(|line| format!("{line}\n")).collect();
    format!("{others}hosts: files\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_keeps_what_keeps_it_closed() {
        let line = "36 35 98:0 /mnt1 /mnt2 ro,nosuid,relatime master:1 - ext3 /dev/root rw,errors=continue";
        let expected = ("/mnt2".to_owned(), MsFlags::MS_RDONLY | MsFlags::MS_RELATIME);
        assert_eq!(mounted(line), Some(expected));
        assert_eq!(mounted("36 35 98:0 /mnt1"), None);
    }

    #[test]
    fn hosts_are_looked_up_in_the_file_only_and_users_as_before() {
        let text = "passwd: files systemd\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n hosts: x\nshadow: files";
        assert_eq!(nsswitch(text), "passwd: files systemd\nshadow: files\nhosts: files\n");
        assert_eq!(nsswitch(""), "hosts: files\n");
    }
}
