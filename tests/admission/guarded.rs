//! What nobody may reach without leave: a target that counts who comes and gives its secret to each, and
//! what an attacker can know about the daemon that exposes it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use coconet::id::StaticKey;
use coconet::key::NodeKeys;
use coconet::ledger::{BLIND_LEN, Blind, Entry, Ledger};
use coconet::wire::PROTOCOL_VERSION;
use coconet::wire::node::Hello;
use rusqlite::{Connection, OpenFlags};

use crate::support::net::{App, HOME, Lab};

/// The name of the resource.
pub(crate) const SAFE: &str = "safe";

/// What the drafts of these tests are blinded with.
pub(crate) const BLIND: Blind = Blind([0xb1; BLIND_LEN]);

/// What a target says to whoever connects.
pub(crate) const SECRET: &[u8] = b"the secret";

/// A target that tells [`SECRET`] at once and then sends back what comes.
pub(crate) struct Target {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Target {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let visits = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&visits);
        // Ends with the test program.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    // Whoever only looked whether somebody is here has gone again.
                    let _ = stream.write_all(SECRET);
                    let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
                });
            }
        });
        Self { address, visits }
    }

    pub(crate) fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// How many have come so far. A connection of our own comes last, so that none is still in the queue.
    pub(crate) fn visits(&self) -> usize {
        let mut last = TcpStream::connect(self.address).unwrap();
        last.read_exact(&mut [0; SECRET.len()]).unwrap();
        self.visits.fetch_sub(1, Ordering::SeqCst) - 1
    }
}

/// What an attacker knows who has seen a daemon's network from inside, without its keys.
pub(crate) struct Seen {
    /// The session key of the daemon's node.
    pub(crate) key: StaticKey,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The network's ledger.
    pub(crate) ledger: Ledger,
    /// Its entries.
    pub(crate) entries: Vec<Vec<u8>>,
}

/// Look at `app` from inside.
pub(crate) fn seen(lab: &Lab, app: &App) -> Seen {
    let network = app.network(HOME);
    let listen = network.node.listen.iter().find_map(|listen| listen.strip_prefix("0.0.0.0:")).unwrap();
    let entries = entries(&lab.path(&app.name).join("state.db"));
    Seen {
        key: keys(&lab.path(&app.name)).static_key(),
        address: SocketAddr::from(([127, 0, 0, 1], listen.parse().unwrap())),
        ledger: replay(&entries),
        entries,
    }
}

/// The keys of the one node whose daemon has its state in `dir`.
pub(crate) fn keys(dir: &Path) -> NodeKeys {
    let files: Vec<_> = std::fs::read_dir(dir.join("keys")).unwrap().collect();
    assert_eq!(files.len(), 1);
    NodeKeys::from_file(&std::fs::read(files[0].as_ref().unwrap().path()).unwrap()).unwrap()
}

fn entries(database: &Path) -> Vec<Vec<u8>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut query = connection.prepare("SELECT bytes FROM entries ORDER BY seq").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn replay(entries: &[Vec<u8>]) -> Ledger {
    let mut decoded = entries.iter().map(|bytes| Entry::from_bytes(bytes).unwrap());
    let mut ledger = Ledger::begin(&decoded.next().unwrap()).unwrap();
    decoded.for_each(|entry| ledger.append(&entry).unwrap());
    ledger
}

impl Seen {
    /// What a member says that is as far.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            version: PROTOCOL_VERSION,
            network: self.ledger.state().network(),
            seq: self.ledger.seq(),
            head: self.ledger.head(),
            features: 0,
        }
    }

    /// What a member says that is `ahead` entries further, whether or not there are any.
    pub(crate) fn ahead(&self, ahead: u64) -> Hello {
        Hello { seq: self.ledger.seq() + ahead, ..self.hello() }
    }
}
