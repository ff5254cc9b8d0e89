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
    clients: Mutex<BTreeMap<NodeId, u32>>,
}

/// A client that was let in, for as long as it stays.
#[derive(Debug)]
pub struct Client<'a> {
    exposure: &'a Exposure,
    peer: NodeId,
    _counted: Counted<'a>,
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
        Self { id, resource, service, health: Health::new(TunnelState::Open), clients: Mutex::default() }
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
    pub fn admit(&self, peer: NodeId) -> Option<Client<'_>> {
        let mut clients = self.clients();
        if self.is_full(&clients) {
            return None;
        }
        *clients.entry(peer).or_default() += 1;
        Some(Client { exposure: self, peer, _counted: Counted::new(&self.service.meter) })
    }

    /// Whether `peer` has a client here, or could have one.
    pub fn has_room_for(&self, peer: NodeId) -> bool {
        let clients = self.clients();
        clients.contains_key(&peer) || !self.is_full(&clients)
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
    fn clients(&self) -> MutexGuard<'_, BTreeMap<NodeId, u32>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, clients: &BTreeMap<NodeId, u32>) -> bool {
        self.service.options.max_clients.is_some_and(|max| clients.values().sum::<u32>() >= max)
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let mut clients = self.exposure.clients();
        if let Some(count) = clients.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&self.peer);
            }
        }
    }
}

/// Whether a target accepts a connection now.
pub async fn target_answers(target: &Target) -> io::Result<()> {
    match target.kind {
        Kind::Udp => udp::check(&target.place).await,
        Kind::Tcp | Kind::Http | Kind::Rtsp | Kind::Mqtt => forward::connect(&target.place).await.map(|_| ()),
    }
}
