//! The state directory: configuration, key and database of one manager.
//!
//! [`StateDir::create`] makes it with mode 0700 and never touches one that is there.
//! [`StateDir::open`] refuses one that others can enter; [`StateDir::lock`] keeps two managers from
//! stamping with one key. The directory itself may be reached through a symbolic link (service managers
//! do that), the files in it may not.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coconet::key::{NodeKeys, SEED_LEN};
use nix::libc::O_NOFOLLOW;
use zeroize::Zeroizing;

use crate::config::{CONFIG_MAX, Config, ConfigError, parse};
use crate::storage::StorageError;
use crate::storage::sqlite::Sqlite;

/// Longest key file that is read, in bytes.
const KEY_FILE_MAX: u64 = 4096;

/// Mode bits of others than the owner.
const OTHERS: u32 = 0o077;

const CONFIG: &str = "manager.toml";
const KEY: &str = "manager.key";
const DATABASE: &str = "manager.db";
const LOCK: &str = "manager.lock";

/// A manager's state directory.
#[derive(Debug)]
pub struct StateDir(PathBuf);

/// Held by the one manager that runs on a state directory.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] File);

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// `create` where something is already.
    #[error("{0} holds a manager, or something else, already")]
    Exists(PathBuf),
    /// No manager was made here.
    #[error("{0} is no state directory of a manager")]
    Missing(PathBuf),
    /// Others can read it, or it is somebody else's.
    #[error("{path} must belong to this user and be closed to everybody else (it has mode {mode:03o})")]
    Open {
        /// Directory or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Another manager runs on it.
    #[error("another manager runs on {0}")]
    Busy(PathBuf),
    /// The key file holds no key.
    #[error("{0} is no key file of this version")]
    Key(PathBuf),
    /// The configuration is not one.
    #[error("{path}")]
    Config {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: ConfigError,
    },
    /// The database does not open.
    #[error("{path}")]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StorageError,
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

impl StateDir {
    /// Make a manager's state at `path`: the keys, an empty database and `config`, in this order, so
    /// that a directory with a configuration is whole.
    pub fn create(path: &Path, keys: &NodeKeys, config: &str) -> Result<Self, StateDirError> {
        let failed = at(path);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(&failed)?;
        if fs::read_dir(path).map_err(&failed)?.next().is_some() {
            return Err(StateDirError::Exists(path.to_owned()));
        }
        let dir = Self::open(path)?;
        write_new(&dir.0.join(KEY), &keys.to_file())?;
        let database = dir.database();
        write_new(&database, &[])?;
        Sqlite::create(&database).map_err(|source| StateDirError::Database { path: database, source })?;
        write_new(&dir.config_path(), config.as_bytes())?;
        File::open(&dir.0).and_then(|folder| folder.sync_all()).map_err(&failed)?;
        Ok(dir)
    }

    /// The state directory at `path`, which nobody else may enter.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StateDirError::Missing(path.to_owned()));
            }
            Err(error) => return Err(at(path)(error)),
        };
        let metadata = fs::metadata(&path).map_err(at(&path))?;
        if !metadata.is_dir() {
            return Err(StateDirError::Missing(path));
        }
        private(&path, &metadata)?;
        Ok(Self(path))
    }

    /// Be the only one who runs on it.
    pub fn lock(&self) -> Result<Lock, StateDirError> {
        let path = self.0.join(LOCK);
        let file = options().write(true).create(true).open(&path).map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(StateDirError::Busy(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// What is configured.
    pub fn config(&self) -> Result<Config, StateDirError> {
        let path = self.config_path();
        let bytes = read(&path, CONFIG_MAX, false).map_err(|error| self.missing(error))?;
        let text = String::from_utf8_lossy(&bytes);
        parse(&text).map_err(|source| StateDirError::Config { path, source })
    }

    /// The manager's keys.
    pub fn keys(&self) -> Result<NodeKeys, StateDirError> {
        let path = self.0.join(KEY);
        let bytes = read(&path, KEY_FILE_MAX, true).map_err(|error| self.missing(error))?;
        NodeKeys::from_file(&bytes).map_err(|_| StateDirError::Key(path))
    }

    /// The database, of this version's schema.
    pub fn storage(&self) -> Result<Sqlite, StateDirError> {
        let path = self.database();
        // What SQLite says of a missing file is no help.
        fs::symlink_metadata(&path).map_err(at(&path))?;
        Sqlite::open(&path).map_err(|source| StateDirError::Database { path, source })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.0.join(CONFIG)
    }

    fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    fn missing(&self, error: StateDirError) -> StateDirError {
        match error {
            StateDirError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                StateDirError::Missing(self.0.clone())
            }
            error => error,
        }
    }
}

/// Fresh keys from the system's randomness.
pub fn fresh_keys() -> Result<NodeKeys, getrandom::Error> {
    let mut seed = Zeroizing::new([0; SEED_LEN]);
    getrandom::fill(seed.as_mut_slice())?;
    Ok(NodeKeys::from_seed(&seed))
}

fn at(path: &Path) -> impl Fn(io::Error) -> StateDirError {
    let path = path.to_owned();
    move |source| StateDirError::Io { path: path.clone(), source }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(O_NOFOLLOW);
    options
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StateDirError> {
    let mut file = options().write(true).create_new(true).open(path).map_err(at(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))
}

fn read(path: &Path, max: u64, secret: bool) -> Result<Zeroizing<Vec<u8>>, StateDirError> {
    let file = options().read(true).open(path).map_err(at(path))?;
    if secret {
        private(path, &file.metadata().map_err(at(path))?)?;
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(max + 1).read_to_end(&mut bytes).map_err(at(path))?;
    if bytes.len() as u64 > max {
        return Err(at(path)(io::Error::new(io::ErrorKind::FileTooLarge, "longer than it can be")));
    }
    Ok(bytes)
}

fn private(path: &Path, metadata: &fs::Metadata) -> Result<(), StateDirError> {
    let own = metadata.uid() == nix::unistd::geteuid().as_raw();
    if own && metadata.mode() & OTHERS == 0 {
        Ok(())
    } else {
        Err(StateDirError::Open { path: path.to_owned(), mode: metadata.mode() & 0o777 })
    }
}
