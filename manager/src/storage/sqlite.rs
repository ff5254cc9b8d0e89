//! One SQLite file: write-ahead log, and `synchronous=FULL`, so that what is committed survives a power
//! cut.
//!
//! `user_version` is the version of the schema; another one is refused and nothing is touched.

use std::path::Path;
use std::time::Duration;

use coconet::calendar::{Day, Month};
use coconet::id::{Hash, NetworkId, NodeId};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};

use super::{Range, Relayed, Seen, Storage, StorageError, StoredEntry, Traffic, Write};

/// The schema this program reads and writes.
pub const SCHEMA_VERSION: i64 = 2;

/// How long another process (a backup, `check`) may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE entries (
        network BLOB NOT NULL,
        seq     INTEGER NOT NULL,
        bytes   BLOB NOT NULL,
        PRIMARY KEY (network, seq)
    ) STRICT;
    CREATE TABLE seen (
        network    BLOB NOT NULL,
        node       BLOB NOT NULL,
        at         INTEGER NOT NULL,
        candidates BLOB NOT NULL,
        PRIMARY KEY (network, node)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE relayed (
        network  BLOB NOT NULL,
        node     BLOB NOT NULL,
        day      INTEGER NOT NULL,
        sent     INTEGER NOT NULL,
        received INTEGER NOT NULL,
        PRIMARY KEY (network, node, day)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX relayed_by_day ON relayed (day);
";

/// The open file.
#[derive(Debug)]
pub struct Sqlite(Connection);

impl Sqlite {
    /// Make the tables in an empty file.
    pub fn create(path: &Path) -> Result<(), StorageError> {
        let mut connection = connect(path)?;
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(SCHEMA).map_err(failed)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// Open a file that [`Sqlite::create`] made. No symbolic link is followed.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let connection = connect(path)?;
        let found = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found == SCHEMA_VERSION {
            Ok(Self(connection))
        } else {
            Err(StorageError::Version { found, expected: SCHEMA_VERSION })
        }
    }
}

impl Storage for Sqlite {
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredEntry) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let sql = "SELECT network, seq, bytes FROM entries ORDER BY network, seq";
        let mut statement = self.0.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let network = NetworkId(Hash(row.get(0).map_err(failed)?));
            let (seq, bytes) = (row.get(1).map_err(failed)?, row.get(2).map_err(failed)?);
            each(StoredEntry { network, seq: unsigned(seq)?, bytes })?;
        }
        Ok(())
    }

    fn last_seen(&mut self) -> Result<Vec<Seen>, StorageError> {
        let sql = "SELECT network, node, at, candidates FROM seen";
        let mut statement = self.0.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut seen = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let candidates: Vec<u8> = row.get(3).map_err(failed)?;
            seen.push(Seen {
                network: NetworkId(Hash(row.get(0).map_err(failed)?)),
                node: NodeId(row.get(1).map_err(failed)?),
                at: unsigned(row.get(2).map_err(failed)?)?,
                candidates: minicbor::decode(&candidates)
                    .map_err(|error| StorageError::Damaged(error.to_string()))?,
            });
        }
        Ok(seen)
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError> {
        // Dropped without `commit`, the transaction is rolled back.
        let transaction = self.0.transaction().map_err(failed)?;
        for write in writes {
            match write {
                Write::Entry(entry) => insert_entry(&transaction, entry)?,
                Write::Seen(seen) => upsert_seen(&transaction, seen)?,
                Write::Relayed(rows) => rows.iter().try_for_each(|row| add_relayed(&transaction, row))?,
                Write::Forget(before) => forget_relayed(&transaction, *before)?,
            }
        }
        transaction.commit().map_err(failed)
    }

    fn read(&mut self, network: NetworkId, range: Range) -> Result<Vec<Vec<u8>>, StorageError> {
        let sql = "SELECT bytes FROM entries WHERE network = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq";
        let mut statement = self.0.prepare_cached(sql).map_err(failed)?;
        let (from, last) = (signed(range.from), signed(range.last));
        let mut rows = statement.query(params![network.0.0, from, last]).map_err(failed)?;
        let mut room = range.bytes;
        let mut page: Vec<Vec<u8>> = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let bytes: Vec<u8> = row.get(0).map_err(failed)?;
            if !page.is_empty() && bytes.len() > room {
                break;
            }
            room = room.saturating_sub(bytes.len());
            page.push(bytes);
        }
        Ok(page)
    }

    fn relayed(&mut self, month: Month, of: Option<NetworkId>) -> Result<Vec<Relayed>, StorageError> {
        let sql = match of {
            Some(_) => {
                "SELECT network, node, day, sent, received FROM relayed
                        WHERE network = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY network, node, day"
            }
            None => {
                "SELECT network, node, day, sent, received FROM relayed
                     WHERE ?1 IS NULL AND day BETWEEN ?2 AND ?3 ORDER BY network, node, day"
            }
        };
        let mut statement = self.0.prepare_cached(sql).map_err(failed)?;
        let days = (month.first().number(), month.end().number());
        let mut rows = statement.query(params![of.map(|of| of.0.0), days.0, days.1]).map_err(failed)?;
        let mut relayed = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let day = row.get(2).map_err(failed)?;
            relayed.push(Relayed {
                network: NetworkId(Hash(row.get(0).map_err(failed)?)),
                node: NodeId(row.get(1).map_err(failed)?),
                day: Day::from_number(day)
                    .ok_or_else(|| StorageError::Damaged(format!("{day} is no day")))?,
                traffic: Traffic {
                    sent: unsigned(row.get(3).map_err(failed)?)?,
                    received: unsigned(row.get(4).map_err(failed)?)?,
                },
            });
        }
        Ok(relayed)
    }
}

fn connect(path: &Path) -> Result<Connection, StorageError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(StorageError::Other(format!("this file system cannot hold a write-ahead log ({mode})")));
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    // The sandbox has no directory for temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    Ok(connection)
}

fn insert_entry(transaction: &Transaction<'_>, entry: &StoredEntry) -> Result<(), StorageError> {
    let network = entry.network.0.0;
    let sql = "SELECT seq FROM entries WHERE network = ?1 ORDER BY seq DESC LIMIT 1";
    let mut newest = transaction.prepare_cached(sql).map_err(failed)?;
    let newest: Option<i64> = newest.query_row([network], |row| row.get(0)).optional().map_err(failed)?;
    if signed(entry.seq) != newest.map_or(0, |seq| seq + 1) {
        return Err(StorageError::Sequence(entry.seq));
    }
    let sql = "INSERT INTO entries (network, seq, bytes) VALUES (?1, ?2, ?3)";
    let mut insert = transaction.prepare_cached(sql).map_err(failed)?;
    insert.execute(params![network, signed(entry.seq), entry.bytes]).map_err(failed)?;
    Ok(())
}

fn upsert_seen(transaction: &Transaction<'_>, seen: &Seen) -> Result<(), StorageError> {
    let candidates =
        minicbor::to_vec(&seen.candidates).map_err(|error| StorageError::Other(error.to_string()))?;
    let sql = "INSERT INTO seen (network, node, at, candidates) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (network, node) DO UPDATE SET at = excluded.at, candidates = excluded.candidates";
    let mut upsert = transaction.prepare_cached(sql).map_err(failed)?;
    upsert.execute(params![seen.network.0.0, seen.node.0, signed(seen.at), candidates]).map_err(failed)?;
    Ok(())
}

fn add_relayed(transaction: &Transaction<'_>, row: &Relayed) -> Result<(), StorageError> {
    let sql = "INSERT INTO relayed (network, node, day, sent, received) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (network, node, day) DO UPDATE
               SET sent = sent + excluded.sent, received = received + excluded.received";
    let mut add = transaction.prepare_cached(sql).map_err(failed)?;
    let (sent, received) = (signed(row.traffic.sent), signed(row.traffic.received));
    add.execute(params![row.network.0.0, row.node.0, row.day.number(), sent, received]).map_err(failed)?;
    Ok(())
}

fn forget_relayed(transaction: &Transaction<'_>, before: Month) -> Result<(), StorageError> {
    let mut forget = transaction.prepare_cached("DELETE FROM relayed WHERE day < ?1").map_err(failed)?;
    forget.execute([before.first().number()]).map_err(failed)?;
    Ok(())
}

/// SQLite's integers are signed. What does not fit is past the end of every ledger and of every clock.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> Result<u64, StorageError> {
    u64::try_from(value).map_err(|_| StorageError::Damaged("a negative number".to_owned()))
}

fn failed(error: rusqlite::Error) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StorageError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StorageError::Damaged(error.to_string())
        }
        _ => StorageError::Other(error.to_string()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::super::tests::{entry, whole};
    use super::*;

    /// A database file that goes with the test.
    pub(in crate::storage) struct Scratch(PathBuf);

    impl Scratch {
        pub(in crate::storage) fn new() -> Self {
            let mut random = [0; 8];
            getrandom::fill(&mut random).unwrap();
            let name = format!("coco-sqlite-{:016x}", u64::from_be_bytes(random));
            let path = std::env::temp_dir().canonicalize().unwrap().join(name);
            fs::create_dir(&path).unwrap();
            fs::File::create(path.join("db")).unwrap();
            Self(path)
        }

        pub(in crate::storage) fn file(&self) -> PathBuf {
            self.0.join("db")
        }

        pub(in crate::storage) fn created(&self) -> Sqlite {
            Sqlite::create(&self.file()).unwrap();
            Sqlite::open(&self.file()).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn another_version_and_a_link_are_refused() {
        let scratch = Scratch::new();
        let storage = scratch.created();
        storage.0.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        drop(storage);
        let refused = Sqlite::open(&scratch.file()).unwrap_err();
        assert_eq!(refused, StorageError::Version { found: SCHEMA_VERSION + 1, expected: SCHEMA_VERSION });
        symlink(scratch.file(), scratch.0.join("link")).unwrap();
        assert!(matches!(Sqlite::open(&scratch.0.join("link")), Err(StorageError::Other(_))));
    }

    #[test]
    fn a_full_database_takes_nothing_of_a_group_and_goes_on_when_there_is_room() {
        let scratch = Scratch::new();
        let mut storage = scratch.created();
        storage.commit(&[entry(1, 0, 100)]).unwrap();
        let pages: i64 = storage.0.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |storage: &Sqlite, pages: i64| {
            storage.0.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        };
        limit(&storage, pages);
        let group = [entry(1, 1, 100), entry(2, 0, 30_000)];
        assert_eq!(storage.commit(&group), Err(StorageError::Full));
        assert_eq!(whole(&mut storage).len(), 1);
        limit(&storage, 1 << 20);
        storage.commit(&group).unwrap();
        assert_eq!(whole(&mut storage).len(), 3);
    }

    #[test]
    fn what_is_committed_is_there_for_the_next_who_opens_it() {
        let scratch = Scratch::new();
        let mut storage = scratch.created();
        storage.commit(&[entry(1, 0, 10), entry(1, 1, 20)]).unwrap();
        let before = whole(&mut storage);
        drop(storage);
        assert_eq!(whole(&mut Sqlite::open(&scratch.file()).unwrap()), before);
    }
}
