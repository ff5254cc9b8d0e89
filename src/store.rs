//! What the daemon keeps over restarts, in one SQLite database.
//!
//! A thread owns the connection; everybody else hands it jobs and awaits the answers, so that no disk
//! stalls the network. Ledger entries can be fetched again, but their head is what a manager is held to,
//! so they are committed before they are acted on.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use coconet::id::{Hash, NetworkId, NodeId};
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::service::{Login, ServiceOptions};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::access::Rules;
use crate::fault::{Fault, Result};

/// The schema this version reads and writes.
const SCHEMA: i64 = 3;

/// Jobs waiting for the database thread before callers wait themselves.
const QUEUE: usize = 256;

/// Peers whose address is remembered, per network.
const PEERS_KEPT: u32 = 256;

/// Contradictions kept, per network: one is proof enough.
const PROOFS_KEPT: u32 = 16;

const NO_ROOM: &str = "make room on the disk of the state directory";

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the database.
#[derive(Debug, Clone)]
pub struct Store(mpsc::Sender<Job>);

/// A joined network.
#[derive(Debug, Clone)]
pub struct NetworkRow {
    /// Its id.
    pub id: NetworkId,
    /// Its name here.
    pub name: Name,
    /// The UDP port its node listens on, kept so that peers and firewalls find it again.
    pub port: u16,
}

/// A tunnel to set up again after a restart.
#[derive(Debug, Clone)]
pub struct TunnelRow {
    /// Its number.
    pub id: u64,
    /// The network.
    pub network: NetworkId,
    /// The resource.
    pub resource: Name,
    /// Which end is here.
    pub end: TunnelEnd,
}

/// Which end of a tunnel is here.
#[derive(Debug, Clone)]
pub enum TunnelEnd {
    /// The target's, with its URL and how it is served.
    Exposed(String, Served),
    /// The listener's, with its address, the ways it may take, and who may use it if it was said.
    Opened(String, PathMode, Option<Rules>),
}

/// How an exposed target is served.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Served {
    /// What `tunnel expose` was given.
    pub options: ServiceOptions,
    /// The target's login.
    pub login: Option<Login>,
}

/// One verified ledger entry.
#[derive(Debug, Clone)]
pub struct EntryRow {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("the state database")]
    Sqlite(#[from] rusqlite::Error),
    /// Of another version.
    #[error("the state database has schema {0}; this version reads up to schema {SCHEMA}")]
    Schema(i64),
    /// The directory cannot be resolved, or the thread not started.
    #[error("the state database")]
    Io(#[from] std::io::Error),
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                NO_ROOM
            }
            Self::Sqlite(_) | Self::Io(_) => {
                "restore the state directory from a backup, or start anew with another --state and an invite"
            }
            Self::Schema(_) => "run the version of coco that wrote it: update coco, or go back",
        }
    }
}

/// The database, open in this thread, and without one of its own yet.
#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    /// Open the database, making it if need be.
    pub fn open(path: &Path) -> std::result::Result<Self, StoreError> {
        // SQLite refuses a link anywhere in the path; the directory itself may be reached by one.
        let folder = path.parent().unwrap_or(Path::new(".")).canonicalize()?;
        let path = folder.join(path.file_name().unwrap_or_default());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        prepare(&mut connection)?;
        Ok(Self(connection))
    }

    /// The networks that were joined.
    pub fn networks(&self) -> std::result::Result<Vec<NetworkId>, StoreError> {
        let mut query = self.0.prepare("SELECT id FROM networks ORDER BY name")?;
        let ids = query.query_map([], |row| row.get(0).map(|id| NetworkId(Hash(id))))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// The ports where opened tunnels listen.
    pub fn ports(&self) -> std::result::Result<BTreeSet<u16>, StoreError> {
        let mut query = self.0.prepare("SELECT place FROM tunnels WHERE NOT exposed")?;
        let mut ports = BTreeSet::new();
        for place in query.query_map([], |row| row.get::<_, String>(0))? {
            ports.extend(place?.parse::<SocketAddr>().map(|address| address.port()));
        }
        Ok(ports)
    }
}

impl Store {
    /// Open the database and give it a thread.
    pub fn open(path: &Path) -> std::result::Result<Self, StoreError> {
        Self::start(Database::open(path)?)
    }

    /// Give the database a thread. It has the rights that this one has now.
    pub fn start(database: Database) -> std::result::Result<Self, StoreError> {
        let Database(mut connection) = database;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        })?;
        Ok(Self(jobs))
    }

    /// All joined networks.
    pub async fn networks(&self) -> Result<Vec<NetworkRow>> {
        self.run(|db| {
            let mut query = db.prepare("SELECT id, name, port FROM networks ORDER BY name")?;
            let rows = query.query_map([], |row| {
                Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?, row.get::<_, u16>(2)?))
            })?;
            rows.filter_map(|row| row.map(network_row).transpose()).collect()
        })
        .await
    }

    /// Remember a network that was joined, with its ledger so far.
    pub async fn add_network(&self, row: NetworkRow, entries: Vec<EntryRow>) -> Result<()> {
        self.run(move |db| {
            let change = db.transaction()?;
            change.execute(
                "INSERT INTO networks (id, name, port) VALUES (?1, ?2, ?3)",
                params![row.id.0.0, row.name.as_str(), row.port],
            )?;
            insert_entries(&change, row.id, &entries)?;
            change.commit()
        })
        .await
    }

    /// Forget a network and all that hangs on it.
    pub async fn remove_network(&self, id: NetworkId) -> Result<()> {
        self.run(move |db| {
            let change = db.transaction()?;
            for table in ["entries", "proofs", "tunnels", "peers"] {
                change.execute(&format!("DELETE FROM {table} WHERE network = ?1"), [id.0.0])?;
            }
            change.execute("DELETE FROM networks WHERE id = ?1", [id.0.0])?;
            change.commit()
        })
        .await
    }

    /// Remember the port a node got.
    pub async fn set_port(&self, id: NetworkId, port: u16) -> Result<()> {
        self.run(move |db| {
            db.execute("UPDATE networks SET port = ?2 WHERE id = ?1", params![id.0.0, port]).map(|_| ())
        })
        .await
    }

    /// Append verified entries.
    pub async fn append(&self, network: NetworkId, entries: Vec<EntryRow>) -> Result<()> {
        self.run(move |db| {
            let change = db.transaction()?;
            insert_entries(&change, network, &entries)?;
            change.commit()
        })
        .await
    }

    /// The bytes of entries from `seq` on, at most `count`.
    pub async fn entries(&self, network: NetworkId, seq: u64, count: u64) -> Result<Vec<Vec<u8>>> {
        self.run(move |db| {
            let mut query = db.prepare_cached(
                "SELECT bytes FROM entries WHERE network = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3",
            )?;
            let (seq, count) = (clamp(seq), clamp(count));
            query.query_map(params![network.0.0, seq, count], |row| row.get(0))?.collect()
        })
        .await
    }

    /// The hash of entry `seq`.
    pub async fn hash_at(&self, network: NetworkId, seq: u64) -> Result<Option<Hash>> {
        self.run(move |db| {
            let mut query = db.prepare_cached("SELECT hash FROM entries WHERE network = ?1 AND seq = ?2")?;
            query.query_row(params![network.0.0, clamp(seq)], |row| row.get(0)).map(Hash).optional()
        })
        .await
    }

    /// Put the same entries anew, with bodies that were left out before, or without ones that are now.
    pub async fn replace(&self, network: NetworkId, entries: Vec<EntryRow>) -> Result<()> {
        self.run(move |db| {
            let change = db.transaction()?;
            change.execute("DELETE FROM entries WHERE network = ?1", [network.0.0])?;
            insert_entries(&change, network, &entries)?;
            change.commit()
        })
        .await
    }

    /// Keep two entries that contradict each other.
    pub async fn add_proof(
        &self,
        network: NetworkId,
        seq: u64,
        first: Vec<u8>,
        second: Vec<u8>,
    ) -> Result<()> {
        self.run(move |db| {
            let mut insert = db.prepare_cached(
                "INSERT OR IGNORE INTO proofs (network, seq, first, second)
                 SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM proofs WHERE network = ?1) < ?5",
            )?;
            insert.execute(params![network.0.0, clamp(seq), first, second, PROOFS_KEPT]).map(|_| ())
        })
        .await
    }

    /// The contradictions that were seen.
    pub async fn proofs(&self, network: NetworkId) -> Result<Vec<(u64, Vec<u8>, Vec<u8>)>> {
        self.run(move |db| {
            let mut query =
                db.prepare("SELECT seq, first, second FROM proofs WHERE network = ?1 ORDER BY seq")?;
            let rows = query.query_map([network.0.0], |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?, row.get(2)?))
            })?;
            rows.collect()
        })
        .await
    }

    /// The tunnels of all networks.
    pub async fn tunnels(&self) -> Result<Vec<TunnelRow>> {
        self.run(|db| {
            let mut query = db.prepare(
                "SELECT id, network, resource, exposed, place, path, served FROM tunnels ORDER BY id",
            )?;
            let rows = query.query_map([], |row| {
                let resource: String = row.get(2)?;
                let (place, path): (String, String) = (row.get(4)?, row.get(5)?);
                let mode = path.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
                let served: Option<String> = row.get(6)?;
                Ok(TunnelRow {
                    id: row.get::<_, u32>(0)?.into(),
                    network: NetworkId(Hash(row.get(1)?)),
                    resource: resource.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
                    end: if row.get(3)? {
                        TunnelEnd::Exposed(place, read(served)?.unwrap_or_default())
                    } else {
                        TunnelEnd::Opened(place, mode, read(served)?)
                    },
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// Remember a tunnel; the same end of the same resource is replaced. Returns its number.
    pub async fn add_tunnel(&self, network: NetworkId, resource: Name, end: TunnelEnd) -> Result<u64> {
        self.run(move |db| {
            let (exposed, place, mode, served) = match end {
                TunnelEnd::Exposed(place, served) => {
                    // Plain data always is JSON.
                    (true, place, PathMode::default(), serde_json::to_string(&served).ok())
                }
                TunnelEnd::Opened(place, mode, allow) => {
                    (false, place, mode, allow.and_then(|allow| serde_json::to_string(&allow).ok()))
                }
            };
            db.query_row(
                "INSERT INTO tunnels (network, resource, exposed, place, path, served)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (network, resource, exposed) DO UPDATE
                 SET place = excluded.place, path = excluded.path, served = excluded.served RETURNING id",
                params![network.0.0, resource.as_str(), exposed, place, mode.as_str(), served],
                |row| row.get::<_, u32>(0).map(u64::from),
            )
        })
        .await
    }

    /// Forget a tunnel.
    pub async fn remove_tunnel(&self, id: u64) -> Result<()> {
        self.run(move |db| db.execute("DELETE FROM tunnels WHERE id = ?1", [clamp(id)]).map(|_| ())).await
    }

    /// Remember where a peer was reached.
    pub async fn remember_peer(&self, network: NetworkId, node: NodeId, address: String) -> Result<()> {
        self.run(move |db| {
            db.execute(
                "INSERT INTO peers (network, node, address, used) VALUES (?1, ?2, ?3, unixepoch())
                 ON CONFLICT (network, node) DO UPDATE SET address = excluded.address, used = excluded.used",
                params![network.0.0, node.0, address],
            )?;
            db.execute(
                "DELETE FROM peers WHERE network = ?1 AND node NOT IN
                 (SELECT node FROM peers WHERE network = ?1 ORDER BY used DESC LIMIT ?2)",
                params![network.0.0, PEERS_KEPT],
            )
            .map(|_| ())
        })
        .await
    }

    /// Where peers were reached, most recent first.
    pub async fn remembered_peers(&self, network: NetworkId) -> Result<Vec<(NodeId, String)>> {
        self.run(move |db| {
            let mut query =
                db.prepare("SELECT node, address FROM peers WHERE network = ?1 ORDER BY used DESC")?;
            query.query_map([network.0.0], |row| Ok((NodeId(row.get(0)?), row.get(1)?)))?.collect()
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, done) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // An error means that the caller no longer waits.
            let _ = answer.send(job(db));
        });
        let gone = || Fault::failed("the state database is closed").hint("the daemon ends: look at its log");
        self.0.send(job).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?.map_err(|error| {
            let fault = Fault::failed("cannot use the state database").because(&error);
            match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => fault.hint(NO_ROOM),
                _ => fault.hint("look at the daemon's log, and at the disk below its state directory"),
            }
        })
    }
}

fn prepare(db: &mut Connection) -> std::result::Result<(), StoreError> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // The sandbox has no directory for temporary files.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        SCHEMA => Ok(()),
        0 => {
            let change = db.transaction()?;
            change.execute_batch(
                "CREATE TABLE networks (id BLOB PRIMARY KEY, name TEXT UNIQUE NOT NULL, port INTEGER NOT NULL);
                 CREATE TABLE entries (network BLOB NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
                   bytes BLOB NOT NULL, PRIMARY KEY (network, seq)) WITHOUT ROWID;
                 CREATE TABLE tunnels (id INTEGER PRIMARY KEY AUTOINCREMENT, network BLOB NOT NULL,
                   resource TEXT NOT NULL, exposed INTEGER NOT NULL, place TEXT NOT NULL, path TEXT NOT NULL,
                   served TEXT, UNIQUE (network, resource, exposed));
                 CREATE TABLE proofs (network BLOB NOT NULL, seq INTEGER NOT NULL, first BLOB NOT NULL,
                   second BLOB NOT NULL, PRIMARY KEY (network, seq, second)) WITHOUT ROWID;
                 CREATE TABLE peers (network BLOB NOT NULL, node BLOB NOT NULL, address TEXT NOT NULL,
                   used INTEGER NOT NULL, PRIMARY KEY (network, node)) WITHOUT ROWID;",
            )?;
            change.pragma_update(None, "user_version", SCHEMA)?;
            Ok(change.commit()?)
        }
        2 => {
            let change = db.transaction()?;
            change.execute_batch("ALTER TABLE tunnels ADD COLUMN served TEXT;")?;
            change.pragma_update(None, "user_version", SCHEMA)?;
            Ok(change.commit()?)
        }
        other => Err(StoreError::Schema(other)),
    }
}

fn insert_entries(db: &Connection, network: NetworkId, entries: &[EntryRow]) -> rusqlite::Result<()> {
    let mut insert =
        db.prepare_cached("INSERT INTO entries (network, seq, hash, bytes) VALUES (?1, ?2, ?3, ?4)")?;
    entries.iter().try_for_each(|entry| {
        insert.execute(params![network.0.0, clamp(entry.seq), entry.hash.0, entry.bytes]).map(|_| ())
    })
}

fn read<T: DeserializeOwned>(json: Option<String>) -> rusqlite::Result<Option<T>> {
    json.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| rusqlite::Error::InvalidQuery)
}

fn network_row((id, name, port): ([u8; 32], String, u16)) -> Option<NetworkRow> {
    Some(NetworkRow { id: NetworkId(Hash(id)), name: name.parse().ok()?, port })
}

/// SQLite's integers are signed; a number past their end names nothing that is stored.
fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
