//! The state directory: one daemon, one app, nobody else.
//!
//! Made with mode 0700 and locked for as long as the daemon lives, so that two daemons never share keys.
//! A `version` file refuses a directory of another layout. Key files are made exclusively with mode
//! 0600, written through to the disk, and refused when anybody else could have read them. No symbolic
//! link is followed in it; it may itself be reached by one, as service managers have it, and is then judged where
//! it is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use coconet::id::NetworkId;
use coconet::key::NodeKeys;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::O_NOFOLLOW;
use zeroize::Zeroizing;

/// The layout this version reads and writes.
const LAYOUT: &str = "1\n";

/// Longest key file that is read, in bytes.
const KEY_FILE_MAX: u64 = 4096;

/// An open, locked state directory.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: Option<Flock<File>>,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another daemon has it.
    #[error("another daemon uses {0}")]
    Busy(PathBuf),
    /// Somebody else can read it, or it is somebody else's.
    #[error("{0} must be a directory of this user with mode 0700")]
    Open(PathBuf),
    /// Written by another version.
    #[error("{path} has layout {found:?}; this version reads layout 1")]
    Layout {
        /// The directory.
        path: PathBuf,
        /// What its version file says.
        found: String,
    },
    /// A key file that others can read, or that is no key.
    #[error("{path}: {reason}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The operating system says no.
    #[error("{path}")]
    Io {
        /// On which file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

impl StateDirError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let anew = "or start anew with another --state and an invite";
        match self {
            Self::Busy(_) => {
                "cococtl talks to the one that runs; a second one needs its own --app and --state".to_owned()
            }
            Self::Open(path) => {
                format!("chmod 700 {} if nobody else could change it, {anew}", path.display())
            }
            Self::Layout { .. } => format!("run the version of coco that wrote it, {anew}"),
            Self::Key { path, .. } | Self::Io { path, .. } => {
                format!("restore {} with its owner and its mode, {anew}", path.display())
            }
        }
    }
}

impl StateDir {
    /// Make it if need be, check it, and lock it.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let failed = |source| StateDirError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let path = &path.canonicalize().map_err(failed)?;
        Self::check_private(path)?;
        let lock_path = path.join("lock");
        let lock =
            open_options().write(true).create(true).truncate(false).open(&lock_path).map_err(failed)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|_| StateDirError::Busy(path.to_owned()))?;
        let dir = Self { path: path.to_owned(), _lock: Some(lock) };
        dir.check_layout(true)?;
        Ok(dir)
    }

    /// Check what is there without making, locking or changing anything.
    pub fn inspect(path: &Path) -> Result<(), StateDirError> {
        if !path.exists() {
            return Ok(());
        }
        let path =
            &path.canonicalize().map_err(|source| StateDirError::Io { path: path.to_owned(), source })?;
        Self::check_private(path)?;
        let dir = Self { path: path.to_owned(), _lock: None };
        dir.check_layout(false)?;
        let keys = path.join("keys");
        let Ok(entries) = fs::read_dir(&keys) else { return Ok(()) };
        entries.flatten().try_for_each(|entry| read_key(&entry.path()).map(|_| ()))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.path.join("state.db")
    }

    /// Keep the keys of a node in `network`. They must not exist yet.
    pub fn write_keys(&self, network: NetworkId, keys: &NodeKeys) -> Result<(), StateDirError> {
        let path = self.key_path(network);
        let folder = self.path.join("keys");
        let failed = |source| StateDirError::Io { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let mut file = open_options().write(true).create_new(true).open(&path).map_err(failed)?;
        file.write_all(&keys.to_file()).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// The keys of the node in `network`.
    pub fn read_keys(&self, network: NetworkId) -> Result<NodeKeys, StateDirError> {
        read_key(&self.key_path(network))
    }

    /// Forget the keys of the node in `network`.
    pub fn remove_keys(&self, network: NetworkId) -> Result<(), StateDirError> {
        let path = self.key_path(network);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateDirError::Io { path, source: error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn key_path(&self, network: NetworkId) -> PathBuf {
        self.path.join("keys").join(format!("{}.key", network.full().replace(':', "-")))
    }

    fn check_private(path: &Path) -> Result<(), StateDirError> {
        let metadata = fs::symlink_metadata(path)
            .map_err(|source| StateDirError::Io { path: path.to_owned(), source })?;
        let own = metadata.uid() == nix::unistd::geteuid().as_raw();
        if metadata.is_dir() && own && metadata.permissions().mode().trailing_zeros() >= 6 {
            Ok(())
        } else {
            Err(StateDirError::Open(path.to_owned()))
        }
    }

    fn check_layout(&self, create: bool) -> Result<(), StateDirError> {
        let path = self.path.join("version");
        let failed = |source| StateDirError::Io { path: path.clone(), source };
        match read_file(&path, KEY_FILE_MAX) {
            Ok(found) if *found == LAYOUT.as_bytes() => Ok(()),
            Ok(found) => {
                let found = coconet::name::shown(String::from_utf8_lossy(&found).trim());
                Err(StateDirError::Layout { path: self.path.clone(), found })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
                let mut file = open_options().write(true).create_new(true).open(&path).map_err(failed)?;
                file.write_all(LAYOUT.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

fn read_key(path: &Path) -> Result<NodeKeys, StateDirError> {
    let wrong = |reason| StateDirError::Key { path: path.to_owned(), reason };
    let failed = |source| StateDirError::Io { path: path.to_owned(), source };
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(wrong("a key is a plain file, not a link"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(wrong(
            "others can read this key: chmod 600 it, and remove the node if it may have leaked",
        ));
    }
    NodeKeys::from_file(&read_file(path, KEY_FILE_MAX).map_err(failed)?)
        .map_err(|_| wrong("not a coco node key of this version"))
}

fn read_file(path: &Path, max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    open_options().read(true).open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(O_NOFOLLOW);
    options
}
