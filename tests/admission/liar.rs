//! A manager that can lie. It has the keys it was founded with and serves as a real one does, from memory,
//! until a test makes it show something else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions};
use coco_tunnel::frame;
use coco_tunnel::session::Session;
use coconet::id::{Hash, NetworkId, NodeId, StaticKey};
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::ledger::{Draft, Entry, Ledger, Op, Standing, stamp, view};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::wire::code::Close;
use coconet::wire::manager::{Request, Response};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The manager, in the hands of a test.
pub(crate) struct Liar {
    /// Its address, as people get it.
    pub(crate) address: String,
    desk: Arc<Desk>,
}

struct Desk {
    keys: NodeKeys,
    shown: Mutex<Shown>,
    /// Counts the changes of `shown`, for those who follow the head.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Shown {
    entries: Vec<Entry>,
    /// Who is shown something else, and what.
    apart: BTreeMap<StaticKey, Vec<Entry>>,
    /// Entries without their bodies for every guest, whatever the guest may see.
    redacted: BTreeSet<u64>,
    /// Where everybody is said to be, instead of where they are.
    everybody_at: Option<SocketAddr>,
    /// What is answered to whoever asks what was relayed.
    usage: Vec<Response>,
    /// The last warning.
    quota: Option<Response>,
    sessions: BTreeMap<StaticKey, Session>,
}

impl Liar {
    /// Serve on loopback until the test program ends.
    pub(crate) fn start() -> Self {
        let mut seed = [0; SEED_LEN];
        getrandom::fill(&mut seed).unwrap();
        let keys = NodeKeys::from_seed(&seed);
        let (stamp, talk) = (keys.stamp_key(), keys.static_key());
        let desk = Arc::new(Desk { keys, shown: Mutex::default(), changes: watch::Sender::new(0) });
        let serving = Arc::clone(&desk);
        let (bound, port) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(serving, &bound));
        });
        let port = port.recv().unwrap();
        let address =
            ManagerAddr { stamp, talk, host: "127.0.0.1".parse().unwrap(), port, tls: None }.to_string();
        Self { address, desk }
    }

    /// The newest entry's hash.
    pub(crate) fn head(&self) -> Hash {
        self.desk.shown().entries.last().unwrap().hash()
    }

    /// Stamp what nobody should, and show it to everybody.
    pub(crate) fn stamps(&self, draft: Draft) {
        self.change(|keys, shown| {
            let seq = shown.entries.len() as u64;
            shown.entries.push(stamp(keys, draft, seq, now_ms()));
        });
    }

    /// Stamp it with that time.
    pub(crate) fn stamps_at(&self, draft: Draft, time: u64) {
        self.change(|keys, shown| {
            let seq = shown.entries.len() as u64;
            shown.entries.push(stamp(keys, draft, seq, time));
        });
    }

    /// Stamp several at once.
    pub(crate) fn stamps_all(&self, drafts: impl IntoIterator<Item = Draft>) {
        self.change(|keys, shown| {
            for draft in drafts {
                let seq = shown.entries.len() as u64;
                shown.entries.push(stamp(keys, draft, seq, now_ms()));
            }
        });
    }

    /// Stamp it for the holder of `key` alone, who from now on has a ledger apart from the others'.
    pub(crate) fn stamps_for(&self, key: StaticKey, draft: Draft) {
        self.change(|keys, shown| {
            let apart = shown.apart.entry(key).or_insert_with(|| shown.entries.clone());
            let seq = apart.len() as u64;
            apart.push(stamp(keys, draft, seq, now_ms()));
        });
    }

    /// Show an entry as it was stamped, wherever.
    pub(crate) fn shows(&self, entry: Entry) {
        self.change(|_, shown| shown.entries.push(entry));
    }

    /// Leave the body of the entry `seq` out for every guest, from now on.
    pub(crate) fn redacts(&self, seq: u64) {
        self.change(|_, shown| shown.redacted.extend([seq]));
    }

    /// Start anew from a state of `entries` entries. Nobody is told but by its next registration.
    pub(crate) fn restarts_with(&self, entries: usize) {
        let mut shown = self.desk.shown();
        shown.entries.truncate(entries);
        for session in std::mem::take(&mut shown.sessions).into_values() {
            session.close(Close::Done);
        }
    }

    /// Show the ledger without its newest entry, as if that had never been.
    pub(crate) fn rolls_back(&self) {
        self.change(|_, shown| drop(shown.entries.pop()));
    }

    /// Stamp other entries instead of the newest that was shown, all at once.
    pub(crate) fn replaces_newest(&self, drafts: impl IntoIterator<Item = Draft>) {
        self.change(|keys, shown| {
            shown.entries.pop();
            for draft in drafts {
                let seq = shown.entries.len() as u64;
                shown.entries.push(stamp(keys, draft, seq, now_ms()));
            }
        });
    }

    /// The newest entries, from number `from` on.
    pub(crate) fn entries(&self, from: u64) -> Vec<Vec<u8>> {
        let shown = self.desk.shown();
        shown.entries[usize::try_from(from).unwrap()..].iter().map(Entry::to_bytes).collect()
    }

    /// From now on the holder of `key` is shown the ledger as it is now.
    pub(crate) fn keeps_in_the_dark(&self, key: StaticKey) {
        self.change(|_, shown| {
            shown.apart.insert(key, shown.entries.clone());
        });
    }

    /// Say of everybody that they are at `address`.
    pub(crate) fn points_to(&self, address: SocketAddr) {
        self.change(|_, shown| shown.everybody_at = Some(address));
    }

    /// Answer so when asked what was relayed.
    pub(crate) fn tells_usage(&self, answers: Vec<Response>) {
        self.change(|_, shown| shown.usage = answers);
    }

    /// Warn everybody of the relay's quota.
    pub(crate) fn warns(&self, used: u64, limit: u64) {
        self.change(|_, shown| shown.quota = Some(Response::Quota { used, limit }));
    }

    fn change(&self, change: impl FnOnce(&NodeKeys, &mut Shown)) {
        change(&self.desk.keys, &mut self.desk.shown());
        self.desk.changes.send_modify(|count| *count += 1);
    }
}

impl Desk {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn to(&self, key: StaticKey) -> &[Entry] {
        self.apart.get(&key).unwrap_or(&self.entries)
    }

    /// What the holder of `key` is shown, and what that is said to be. To a guest it is the guest's view,
    /// less what is redacted.
    fn view_for(&self, key: StaticKey) -> (Vec<Entry>, Hash) {
        let mut entries = self.to(key).to_vec();
        let mut seen = vec![true; entries.len()];
        if let Some(guest) = guest(&entries, key) {
            seen = view::views(&entries, &guest);
            for seq in &self.redacted {
                seen[usize::try_from(*seq).unwrap()] = false;
            }
        }
        for (entry, _) in entries.iter_mut().zip(&seen).filter(|(_, seen)| !**seen) {
            entry.draft.body = None;
        }
        let withheld = entries.iter().filter(|entry| entry.draft.body.is_none());
        let view = view::digest(withheld.map(|entry| entry.stamp.seq));
        (entries, view)
    }

    fn head_for(&self, key: StaticKey) -> (u64, Hash) {
        let entries = self.to(key);
        (entries.len() as u64 - 1, entries.last().unwrap().hash())
    }

    fn append(&mut self, keys: &NodeKeys, key: StaticKey, draft: Draft) -> Response {
        let genesis = draft.header.network == NetworkId(Hash::ZERO);
        if !genesis && draft.header.prev != self.entries.last().unwrap().hash() {
            let (seq, head) = self.head_for(key);
            return Response::Conflict { seq, head };
        }
        let entry = stamp(keys, draft, self.entries.len() as u64, now_ms());
        self.entries.push(entry.clone());
        Response::Stamped(Box::new(entry))
    }

    fn locate(&self, node: NodeId) -> Response {
        let mut talks = self.entries.iter().rev().filter_map(|entry| {
            let record = match entry.draft.op().unwrap() {
                Op::Genesis(genesis) => genesis.owner,
                Op::Join(join) => join.record,
                _ => return None,
            };
            (record.node == node).then_some(record.talk)
        });
        let real = talks.next().and_then(|talk| self.sessions.get(&talk)?.remote());
        let candidates = self.everybody_at.or(real).into_iter().collect();
        Response::Dialled { online: true, candidates, last_seen: now_ms(), channel: None, refused: None }
    }
}

/// The name of the guest whose node has `key`, as far as the entries hold together.
fn guest(entries: &[Entry], key: StaticKey) -> Option<Name> {
    let mut ledger = Ledger::begin(entries.first()?).ok()?;
    for entry in &entries[1..] {
        if ledger.append(entry).is_err() {
            break;
        }
    }
    match ledger.state().standing(&key) {
        Standing::Member(node) => ledger.state().guest(node).cloned(),
        Standing::Removed(_) | Standing::Stranger => None,
    }
}

async fn serve(desk: Arc<Desk>, bound: &mpsc::Sender<u16>) {
    let options = EndpointOptions {
        secret: desk.keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    let endpoint = Endpoint::bind(&options).unwrap();
    bound.send(endpoint.addresses()[0].port()).unwrap();
    let mut accepting = Accepting::default();
    while let Some(session) = endpoint.accept(&mut accepting).await {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            desk.shown().sessions.insert(session.peer(), session.clone());
            while let Ok(channel) = session.accept().await {
                tokio::spawn(answer(Arc::clone(&desk), session.clone(), channel));
            }
        });
    }
}

/// Answer one stream. Whoever asked and has gone needs no answer.
async fn answer(desk: Arc<Desk>, session: Session, mut channel: Channel) {
    let Ok(request) = frame::read::<Request>(&mut channel.rx).await else { return };
    let key = session.peer();
    let mut changes = desk.changes.subscribe();
    let answers = {
        let mut shown = desk.shown();
        let head = |shown: &Shown| {
            let (seq, head) = shown.head_for(key);
            Response::Head { seq, head, view: None }
        };
        match &request {
            Request::Append(draft) => vec![shown.append(&desk.keys, key, draft.clone())],
            Request::Head { .. } => vec![head(&shown)],
            Request::Dial { node, .. } => vec![shown.locate(*node)],
            Request::Usage { .. } => shown.usage.clone(),
            Request::Probe { .. } => vec![Response::Probed { time: 0, port: None }],
            Request::Presence { .. } => vec![Response::Online(Vec::new()), head(&shown)],
            Request::Fetch { from, .. } => {
                let from = usize::try_from(*from).unwrap();
                let (entries, view) = shown.view_for(key);
                let (seq, newest) = shown.head_for(key);
                let entries = entries.iter().skip(from).map(|entry| Response::Entry(entry.to_bytes()));
                entries.chain([Response::Head { seq, head: newest, view: Some(view) }]).collect()
            }
            Request::Register { .. } => {
                let (seq, head) = shown.head_for(key);
                vec![Response::Registered { observed: session.remote().unwrap(), seq, head }]
            }
        }
    };
    if matches!(request, Request::Append(_)) {
        desk.changes.send_modify(|count| *count += 1);
    }
    for message in &answers {
        if frame::write(&mut channel.tx, message).await.is_err() {
            return;
        }
    }
    if !matches!(request, Request::Register { .. }) {
        channel.tx.finish();
        return;
    }
    let mut warned = None;
    while changes.changed().await.is_ok() {
        let quota = desk.shown().quota.clone();
        if let Some(quota) = quota.clone().filter(|_| quota != warned)
            && frame::write(&mut channel.tx, &quota).await.is_err()
        {
            return;
        }
        warned = quota;
        let (seq, head) = desk.shown().head_for(key);
        if frame::write(&mut channel.tx, &Response::Head { seq, head, view: None }).await.is_err() {
            return;
        }
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
