//! Unix sockets that tunnels listen on.
//!
//! A path comes from whoever may use the control socket, so it cannot lead to other users' files; but
//! what stands on the way could have been put there by somebody else. Sockets are made in a few directories
//! only ([`SocketDirs`]), and the way from there to the file is walked one directory at a time, through no
//! symbolic link. The directory is held open and everything is done in it, whatever its path leads to
//! meanwhile.
//!
//! The socket gets its name when it listens already and has its mode, by a link that replaces nothing: so a
//! file that nobody listens on is stale, at every moment. Such a one is replaced where this user made it;
//! anything else is left alone. The file goes with the listener, if it is still the same.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::libc::{O_DIRECTORY, O_NOFOLLOW, O_PATH};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::Uid;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use super::sockets::BACKLOG;
use crate::config::Config;
use crate::random;

/// Where unix sockets may be made, and in directories below.
#[derive(Debug, Clone, Default)]
pub struct SocketDirs(Vec<PathBuf>);

/// A listening unix socket, and its file.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    _file: SocketFile,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum UnixError {
    /// In none of the directories.
    #[error("it is in none of the directories that sockets may be made in")]
    Elsewhere,
    /// There is no such directory, or a link on the way.
    #[error("its directory cannot be used: {0}")]
    Directory(PathBuf, #[source] io::Error),
    /// Anybody could put another file in its place.
    #[error("everybody may write to {0}, and remove what others have put there")]
    Unsafe(PathBuf),
    /// Another process listens there.
    #[error("another process listens there")]
    Taken,
    /// Something that is no socket, or of another user.
    #[error("there is a file already that is no socket of this user")]
    Foreign,
    /// The system says no.
    #[error("the system does not let it")]
    Io(#[from] io::Error),
}

impl SocketDirs {
    /// Of a daemon with this control socket and this state directory: the directories of both, and those of
    /// the configuration.
    pub fn of(control: &Path, state: &Path, config: &Config) -> Self {
        let control = std::path::absolute(control).unwrap_or_default();
        let beside = control.parent().map(Path::to_owned);
        Self::new(beside.into_iter().chain([state.to_owned()]).chain(config.tunnel.socket_dirs.clone()))
    }

    /// These; what is relative counts from where this process was started.
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(dirs.into_iter().map(|dir| std::path::absolute(&dir).unwrap_or(dir)).collect())
    }

    /// All of them.
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// Listen on a socket at `path`, for this user alone or for whoever gets so far.
    pub fn bind(&self, path: &Path, for_others: bool) -> Result<UnixSocket, UnixError> {
        let folder = self.open_folder(path.parent().unwrap_or(Path::new("/")))?;
        // A name that is a word of the file system's own does not come out of the parser.
        let name = path.file_name().ok_or(UnixError::Elsewhere)?;
        let at = folder.path.join(name);
        folder.make_way(&at)?;
        let fresh = folder.aside()?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // The file gets the mode of the socket, less what the process's mask takes.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(io::Error::from)?;
        socket.bind(&SockAddr::unix(&fresh)?)?;
        let mut file = SocketFile::of(folder, fresh.clone())?;
        if for_others {
            file.open_to_others()?;
        }
        socket.listen(BACKLOG)?;
        fs::hard_link(&fresh, &at).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => UnixError::Taken,
            _ => UnixError::Io(error),
        })?;
        file.at = at;
        fs::remove_file(&fresh)?;
        let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
        Ok(UnixSocket { listener, _file: file })
    }

    /// The directory, held open.
    fn open_folder(&self, folder: &Path) -> Result<Folder, UnixError> {
        for root in &self.0 {
            let real = root.canonicalize();
            // Named by either of its spellings; who has configured it trusts the links in it.
            let below = folder.strip_prefix(root).or_else(|error| match &real {
                Ok(real) => folder.strip_prefix(real),
                Err(_) => Err(error),
            });
            if let Ok(below) = below {
                return Folder::open(root, below);
            }
        }
        Err(UnixError::Elsewhere)
    }
}

impl UnixSocket {
    /// The listener.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

/// A directory that is held open.
#[derive(Debug)]
struct Folder {
    _open: File,
    /// A path that leads to this very directory.
    path: PathBuf,
}

impl Folder {
    fn open(root: &Path, below: &Path) -> Result<Self, UnixError> {
        let failed = |part: &Path| {
            let part = part.to_owned();
            |error| UnixError::Directory(part, error)
        };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(O_PATH | O_DIRECTORY);
        let mut open = options.open(root).map_err(failed(root))?;
        options.custom_flags(O_PATH | O_DIRECTORY | O_NOFOLLOW);
        let mut shown = root.to_owned();
        for part in below.components() {
            let Component::Normal(part) = part else { return Err(UnixError::Elsewhere) };
            shown.push(part);
            open = options.open(through(&open).join(part)).map_err(failed(&shown))?;
        }
        let mode = open.metadata().map_err(failed(&shown))?.mode();
        if mode & 0o1002 == 0o0002 {
            return Err(UnixError::Unsafe(shown));
        }
        let path = through(&open);
        Ok(Self { _open: open, path })
    }

    /// Remove a socket of this user that nobody listens on.
    fn make_way(&self, at: &Path) -> Result<(), UnixError> {
        let found = match fs::symlink_metadata(at) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !found.file_type().is_socket() || found.uid() != Uid::effective().as_raw() {
            return Err(UnixError::Foreign);
        }
        if is_listened_on(at)? {
            return Err(UnixError::Taken);
        }
        // Whoever else makes a socket here at this moment must not lose it: it is taken aside, looked at
        // and put back.
        let aside = self.aside()?;
        fs::rename(at, &aside)?;
        let taken = fs::symlink_metadata(&aside)?;
        if (taken.dev(), taken.ino()) != (found.dev(), found.ino()) {
            fs::hard_link(&aside, at)?;
            fs::remove_file(&aside)?;
            return Err(UnixError::Taken);
        }
        Ok(fs::remove_file(&aside)?)
    }
}

impl Folder {
    /// A name that nobody has.
    fn aside(&self) -> io::Result<PathBuf> {
        let number = random::bytes().map_err(|fault| io::Error::other(fault.to_string()))?;
        Ok(self.path.join(format!(".coco-{:016x}", u64::from_be_bytes(number))))
    }
}

/// A path to what is open, past all links and whatever has been renamed since.
fn through(open: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

/// Whether somebody listens, with or without room for one more.
fn is_listened_on(at: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(at)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Ok(()) | Err(_) => Ok(true),
    }
}

/// The file of a socket, removed with it.
#[derive(Debug)]
struct SocketFile {
    /// Holds open what the path goes through.
    _folder: Folder,
    at: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    fn of(folder: Folder, at: PathBuf) -> io::Result<Self> {
        let found = fs::symlink_metadata(&at)?;
        Ok(Self { _folder: folder, at, id: (found.dev(), found.ino()) })
    }

    /// Whoever gets to the file may connect. Who that is, is looked at then.
    fn open_to_others(&self) -> io::Result<()> {
        let open = OpenOptions::new().read(true).custom_flags(O_PATH | O_NOFOLLOW).open(&self.at)?;
        let found = open.metadata()?;
        // Where others may write to the directory, it could be a file of ours that they have put there.
        if !found.file_type().is_socket() || (found.dev(), found.ino()) != self.id {
            return Err(io::Error::other("the socket's file has been replaced"));
        }
        fs::set_permissions(through(&open), Permissions::from_mode(0o666))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good, and what is there instead is not ours.
        let same = fs::symlink_metadata(&self.at).is_ok_and(|found| (found.dev(), found.ino()) == self.id);
        if same {
            let _ = fs::remove_file(&self.at);
        }
    }
}

#[cfg(test)]
#[path = "unix_tests.rs"]
mod tests;
