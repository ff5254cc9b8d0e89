//! The target's end of a tunnel.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use coco_tunnel::forward::{self, Service, udp};
use coconet::control::{Direction, Tunnel, TunnelState};
use coconet::name::Name;
use coconet::resource::Kind;
use coconet::service::ServiceOptions;
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
        Self { id, resource, service, health: Health::new(TunnelState::Open) }
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
            options: (*options != ServiceOptions::default()).then(|| options.clone()),
            login: login.is_some(),
            facts: self.service.facts(),
            ..common
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
