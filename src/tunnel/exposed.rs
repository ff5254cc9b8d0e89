//! The target's end of a tunnel.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coco_tunnel::forward::{self, Counted, Service, udp};
use coconet::control::{Direction, Tunnel, TunnelState};
use coconet::id::NodeId;
use coconet::name::Name;
use coconet::resource::Kind;
use coconet::target::Target;

use super::{Health, describe};

/// Most clients that one node, whoever it is, has at one resource at a time, whatever the resource allows in
/// all: each takes a file descriptor here and a connection of the target. As many as its own tunnel takes.
const CLIENTS_PER_NODE_MAX: u32 = 4096;

/// Most questions of one node at a time whether a target answers. Each connects to it. Several of its tunnels
/// may open at once.
const PROBES_PER_NODE_MAX: u32 = 32;

/// What one node exposes, by resource.
#[derive(Debug, Default)]
pub struct Exposures(Mutex<BTreeMap<Name, Arc<Exposure>>>);

/// One exposed target. Its URL never leaves this machine.
#[derive(Debug)]
pub struct Exposure {
    id: u64,
    resource: Name,
    service: Service,
    health: Health,
    /// How many clients each node has.
    clients: Mutex<Counts>,
    /// How many questions of each node are being answered.
    probes: Mutex<Counts>,
}

/// How many each node has, of those that have some.
type Counts = BTreeMap<NodeId, u32>;

/// The place of a client that was let in, or of a question, for as long as it stays.
#[derive(Debug)]
pub struct Place<'a> {
    counts: &'a Mutex<Counts>,
    peer: NodeId,
    _counted: Option<Counted<'a>>,
}

impl Exposures {
    /// Expose, or expose anew.
    pub fn insert(&self, exposure: Arc<Exposure>) {
        self.lock().insert(exposure.resource.clone(), exposure);
    }

    /// Expose no longer.
    pub fn remove(&self, resource: &Name) -> Option<Arc<Exposure>> {
        self.lock().remove(resource)
    }

    /// The exposure of a resource.
    pub fn get(&self, resource: &Name) -> Option<Arc<Exposure>> {
        self.lock().get(resource).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Exposure>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Name, Arc<Exposure>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exposure {
    /// Expose what `service` serves as `resource`.
    pub fn new(id: u64, resource: Name, service: Service) -> Self {
        let health = Health::new(TunnelState::Open);
        Self { id, resource, service, health, clients: Mutex::default(), probes: Mutex::default() }
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The resource's name.
    pub fn resource(&self) -> &Name {
        &self.resource
    }

    /// What is behind it.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Let a client of `peer` in; `None` when there are as many as may be.
    pub fn admit(&self, peer: NodeId) -> Option<Place<'_>> {
        let mut clients = lock(&self.clients);
        if self.is_full(&clients) {
            return None;
        }
        take(&mut clients, peer, CLIENTS_PER_NODE_MAX)?;
        Some(Place { counts: &self.clients, peer, _counted: Some(Counted::new(&self.service.meter)) })
    }

    /// Let `peer` ask whether the target answers; `None` when it asks too much at a time, or neither has a
    /// client here nor could have one.
    pub fn probe(&self, peer: NodeId) -> Option<Place<'_>> {
        let clients = lock(&self.clients);
        if !clients.contains_key(&peer) && self.is_full(&clients) {
            return None;
        }
        drop(clients);
        take(&mut lock(&self.probes), peer, PROBES_PER_NODE_MAX)?;
        Some(Place { counts: &self.probes, peer, _counted: None })
    }

    /// The target did not answer.
    pub fn failed(&self, error: &io::Error) {
        self.service.meter.failures.fetch_add(1, Ordering::Relaxed);
        self.health.fails(TunnelState::Failed, format!("the target does not answer: {error}"));
    }

    /// The target answered.
    pub fn works(&self) {
        self.health.works();
    }

    /// What a list says of it.
    pub fn status(&self, network: &Name) -> Tunnel {
        let Service { target, options, login, meter, .. } = &self.service;
        let common =
            describe(self.id, network, &self.resource, target.kind, Direction::Expose, &self.health, meter);
        Tunnel {
            target: Some(target.to_string()),
            options: (!options.is_usual()).then(|| options.clone()),
            login: login.is_some(),
            facts: self.service.facts(),
            ..common
        }
    }
}

impl Exposure {
    fn is_full(&self, clients: &Counts) -> bool {
        self.service.options.max_clients.is_some_and(|max| clients.values().sum::<u32>() >= max)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = lock(self.counts);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// One more, of at most `max`.
fn take(counts: &mut Counts, peer: NodeId, max: u32) -> Option<()> {
    let now = counts.get(&peer).copied().unwrap_or_default();
    (now < max).then(|| {
        counts.insert(peer, now + 1);
    })
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a target accepts a connection now.
pub async fn target_answers(target: &Target) -> io::Result<()> {
    match target.kind {
        Kind::Udp => udp::check(&target.place).await,
        Kind::Tcp | Kind::Http | Kind::Rtsp | Kind::Mqtt => forward::connect(&target.place).await.map(|_| ()),
        // Whoever knows the interface has looked.
        Kind::Ip => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::service::ServiceOptions;

    use super::*;

    const GREEDY: NodeId = NodeId([1; 32]);
    const OTHER: NodeId = NodeId([2; 32]);

    fn exposure(max_clients: Option<u32>) -> Exposure {
        let options = ServiceOptions { max_clients, ..ServiceOptions::default() };
        let service = Service::new("tcp://127.0.0.1:1".parse().unwrap(), options, None);
        Exposure::new(1, "web".parse().unwrap(), service)
    }

    #[test]
    fn one_node_does_not_take_all_places() {
        let exposure = exposure(None);
        let mut places: Vec<_> = (0..CLIENTS_PER_NODE_MAX).map(|_| exposure.admit(GREEDY).unwrap()).collect();
        assert!(exposure.admit(GREEDY).is_none());
        assert!(exposure.admit(OTHER).is_some());
        places.pop();
        places.push(exposure.admit(GREEDY).unwrap());
        assert!(exposure.admit(GREEDY).is_none());
        assert_eq!(exposure.service.meter.clients.load(Ordering::Relaxed), u64::from(CLIENTS_PER_NODE_MAX));
        drop(places);
        assert!(lock(&exposure.clients).is_empty());
    }

    #[test]
    fn one_node_asks_a_few_times_at_once_and_takes_no_client_place() {
        let exposure = exposure(Some(1));
        let probes: Vec<_> = (0..PROBES_PER_NODE_MAX).map(|_| exposure.probe(GREEDY).unwrap()).collect();
        assert!(exposure.probe(GREEDY).is_none());
        assert!(exposure.probe(OTHER).is_some());
        drop(probes);
        assert!(lock(&exposure.probes).is_empty());
        let _client = exposure.admit(GREEDY).unwrap();
        assert!(exposure.admit(GREEDY).is_none());
        assert!(exposure.probe(GREEDY).is_some());
        assert!(exposure.probe(OTHER).is_none());
    }
}
