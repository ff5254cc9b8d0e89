//! The accept loop, and how the manager begins and ends.
//!
//! [`Server::bind`] verifies every stored ledger, entry by entry, before the first packet is answered: a
//! manager that stamped on top of a damaged ledger would end it. [`Server::run`] serves until told to
//! stop, then closes every session and lets the storage finish.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use coco_sandbox::EnterError;
use coco_tunnel::carrier::server::{self as carrier, ListenError, Refused, source};
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions};
use coco_tunnel::relay;
use coco_tunnel::session::Session;
use coconet::calendar::Month;
use coconet::id::NetworkId;
use coconet::key::NodeKeys;
use coconet::ledger::{Entry, Ledger};
use coconet::wire::code::Close;
use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};

use crate::config::{Config, Limits};
use crate::counters::{Counters, Refusal};
use crate::desk::{Desk, Kept, Relay};
use crate::limits::DESK_QUEUE;
use crate::metrics::{Metrics, Sources};
use crate::now_ms;
use crate::presence::{Here, Presence, SessionId};
use crate::probe::Probe;
use crate::session::{House, serve};
use crate::storage::thread;
use crate::storage::{Storage, StorageError, StoredEntry};
use crate::whereabouts::Whereabouts;

/// A bound manager.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    house: House,
    desk: task::JoinHandle<()>,
    storage: JoinHandle<()>,
    metrics: Option<Metrics>,
    carriers: Option<carrier::Server>,
    limits: Limits,
}

/// Why a manager cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The storage does not give its ledgers.
    #[error("the stored ledgers cannot be read")]
    Storage(#[from] StorageError),
    /// No socket.
    #[error("cannot listen on {0}")]
    Listen(String, #[source] io::Error),
    /// No socket for the metrics.
    #[error("cannot serve metrics on {0}")]
    Metrics(SocketAddr, #[source] io::Error),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] ListenError),
    /// No sandbox.
    #[error(transparent)]
    Sandbox(#[from] EnterError),
    /// No thread.
    #[error("cannot start the storage thread")]
    Thread(#[source] io::Error),
    /// The desk has ended while the server ran.
    #[error("an internal task has failed")]
    Desk,
}

impl Server {
    /// Verify what is stored, and listen. Within a tokio runtime.
    pub fn bind(config: &Config, keys: NodeKeys, storage: impl Storage) -> Result<Self, ServerError> {
        Self::bind_then(config, keys, storage, || Ok(()))
    }

    /// As [`Server::bind`]. Once it listens everywhere, and before the first packet is read and the first thread
    /// starts, `seal` gives up what is not needed any more.
    pub fn bind_then(
        config: &Config,
        keys: NodeKeys,
        mut storage: impl Storage,
        seal: impl FnOnce() -> Result<(), EnterError>,
    ) -> Result<Self, ServerError> {
        let started = Instant::now();
        let mut presence = Here::default();
        let ledgers = replay(&mut storage)?;
        let relayed = storage.relayed(Month::at(now_ms()), None)?;
        storage.last_seen()?.into_iter().for_each(|seen| presence.restore(seen));
        tracing::info!(networks = ledgers.len(), took = ?started.elapsed(), "ledgers verified");

        let options = EndpointOptions {
            secret: keys.static_secret(),
            reset: keys.derive("stateless-reset"),
            listen: config.listen.addresses().to_vec(),
            any_port: false,
        };
        let listen =
            || config.listen.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (switch, control, strangers) = relay::switch(Instant::now());
        let endpoint = Endpoint::bind_relaying(&options, switch.answering(keys.static_key()))
            .map_err(|error| ServerError::Listen(listen(), error))?;
        if endpoint.addresses().len() < options.listen.len() {
            let error = io::Error::other("one of the addresses could not be bound");
            return Err(ServerError::Listen(listen(), error));
        }

        let second = config.probe.port.map_or(0, NonZeroU16::get);
        let probe = Probe::bind(&endpoint.addresses(), second, keys.static_key());
        let carriers = config.tls.listen.as_ref().map(|listen| {
            let limits = carrier::Limits {
                connections: config.tls.connections,
                per_source: config.tls.connections_per_source,
            };
            carrier::Server::bind(listen.addresses(), &keys, limits)
        });
        let carriers = carriers.transpose()?;

        let (messages, inbox) = mpsc::channel(DESK_QUEUE);
        let counters = Arc::new(Counters::new());
        let metrics = config.metrics.listen.map(|crate::config::Here(address)| {
            let sources = Sources {
                desk: messages.downgrade(),
                counters: Arc::clone(&counters),
                endpoint: endpoint.clone(),
                relay: control.clone(),
                started: SystemTime::now(),
            };
            Metrics::bind(address, sources).map_err(|error| ServerError::Metrics(address, error))
        });
        let metrics = metrics.transpose()?;
        seal()?;
        // From here on, nothing privileged.
        let (handle, thread) = thread::spawn(storage).map_err(ServerError::Thread)?;
        let kept = Kept { presence, ledgers, relayed };
        let relay = Relay { control, strangers, endpoint: endpoint.clone() };
        let desk = Desk::new(Arc::new(keys), config, Arc::clone(&counters), handle.clone(), kept, relay);
        Ok(Self {
            house: House { desk: messages, storage: handle, counters, endpoint: endpoint.clone(), probe },
            endpoint,
            desk: tokio::spawn(desk.run(inbox)),
            storage: thread,
            metrics,
            carriers,
            limits: config.limits,
        })
    }

    /// The addresses it is bound to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.endpoint.addresses()
    }

    /// Where metrics are served.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Metrics::address)
    }

    /// The TCP addresses where TLS is served.
    pub fn tls(&self) -> Vec<SocketAddr> {
        self.carriers.as_ref().map(carrier::Server::addresses).unwrap_or_default()
    }

    /// What was refused so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.house.counters)
    }

    /// Serve until `shutdown` resolves.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { endpoint, house, mut desk, storage, metrics, carriers, limits } = self;
        let mut watched = JoinSet::new();
        watched.spawn(Arc::clone(&house.probe).serve());
        if let Some(metrics) = metrics {
            watched.spawn(metrics.serve());
        }
        if let Some(carriers) = carriers {
            let counters = Arc::clone(&house.counters);
            watched.spawn(carriers.run(endpoint.clone(), move |why| refuse_carrier(&counters, why)));
        }
        let mut sitting = Sessions::default();
        let mut ready = Accepting::default();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut failed = false;
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = &mut desk => {
                    failed = true;
                    break;
                }
                session = endpoint.accept(&mut ready) => match session {
                    Some(session) => sitting.admit(session, &house, limits),
                    None => break,
                },
                () = sitting.one_ended(), if !sitting.is_empty() => {}
            }
        }
        endpoint.close().await;
        while !sitting.is_empty() {
            sitting.one_ended().await;
        }
        // With the last sender the desk ends, and with the last handle the storage.
        watched.shutdown().await;
        drop(house);
        if failed {
            return Err(ServerError::Desk);
        }
        desk.await.map_err(|_| ServerError::Desk)?;
        task::spawn_blocking(move || storage.join())
            .await
            .map_err(|_| ServerError::Desk)?
            .map_err(|_| ServerError::Desk)
    }
}

/// Every stored ledger, verified as a member would.
fn replay(storage: &mut impl Storage) -> Result<BTreeMap<NetworkId, Ledger>, StorageError> {
    let mut ledgers: BTreeMap<NetworkId, Ledger> = BTreeMap::new();
    storage.load(&mut |StoredEntry { network, seq, bytes }| {
        let damaged = |why: String| StorageError::Damaged(format!("entry {seq} of {network}: {why}"));
        let entry = Entry::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?;
        match ledgers.get_mut(&network) {
            Some(ledger) => ledger.append(&entry).map_err(|reject| damaged(reject.to_string()))?,
            None => {
                let ledger = Ledger::begin(&entry).map_err(|reject| damaged(reject.to_string()))?;
                if ledger.state().network() != network {
                    return Err(damaged("it is of another network".to_owned()));
                }
                ledgers.insert(network, ledger);
            }
        }
        Ok(())
    })?;
    Ok(ledgers)
}

/// The sessions being served, and how many each source has.
#[derive(Default)]
struct Sessions {
    tasks: JoinSet<()>,
    sources: HashMap<task::Id, IpAddr>,
    per_source: HashMap<IpAddr, usize>,
    next: SessionId,
}

impl Sessions {
    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    fn admit(&mut self, session: Session, house: &House, limits: Limits) {
        let Some(place) = Whereabouts::of(&session, &house.endpoint) else { return };
        let source = source(place.from.ip());
        let of_source = self.per_source.get(&source).copied().unwrap_or_default();
        let refusal = if self.tasks.len() >= limits.sessions {
            Some(Refusal::Sessions)
        } else if of_source >= limits.sessions_per_source {
            Some(Refusal::Source)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            if house.counters.refuse(refusal) {
                tracing::warn!(?refusal, sessions = self.tasks.len(), "a session was refused");
            }
            return session.close(Close::Busy);
        }
        tracing::debug!(peer = %session.peer(), address = %place.from, "session");
        let id = self.next;
        self.next += 1;
        let task = self.tasks.spawn(serve(session, id, house.clone()));
        self.sources.insert(task.id(), source);
        *self.per_source.entry(source).or_default() += 1;
    }

    async fn one_ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                tracing::error!(%error, "a session's task has failed");
                error.id()
            }
            None => return,
        };
        let Some(source) = self.sources.remove(&id) else { return };
        if let Some(count) = self.per_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }
}

fn refuse_carrier(counters: &Counters, why: Refused) {
    let refusal = match why {
        Refused::Full => Refusal::Carriers,
        Refused::Source => Refusal::CarrierSource,
        Refused::Handshake => Refusal::CarrierHandshake,
        Refused::Silent | Refused::Malformed => Refusal::CarrierProtocol,
    };
    // Anybody who scans for open ports does this; only the limits are of interest.
    if counters.refuse(refusal) && matches!(why, Refused::Full | Refused::Source) {
        tracing::warn!(?refusal, "a TLS connection was refused");
    }
}
