//! Reaching a manager: by UDP, or inside TLS where no UDP gets through.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use coco_tunnel::carrier::proxy::Proxies;
use coco_tunnel::carrier::{self, CarrierError, Line};
use coco_tunnel::endpoint::{DIAL_MAX, DialError, Endpoint};
use coco_tunnel::forward::CONNECT_TIMEOUT;
use coco_tunnel::names;
use coco_tunnel::session::Session;
use coco_tunnel::socket::Place;
use coconet::manager_addr::ManagerAddr;
use tokio::sync::mpsc;

use crate::fault::{Fault, Result};
use crate::surroundings::Surroundings;

/// How long UDP is tried alone.
pub const UDP_ALONE: Duration = Duration::from_secs(1);

/// How this daemon's nodes reach the outside.
#[derive(Debug)]
pub struct Uplink {
    /// UDP addresses to listen on; empty for every interface.
    pub listen: Vec<SocketAddr>,
    /// The proxies for TLS.
    pub proxies: Proxies,
    /// What the machine is connected to.
    pub around: Arc<Surroundings>,
}

/// A manager that was reached.
#[derive(Debug)]
pub struct Reached {
    /// The session with it.
    pub session: Session,
    /// Who it is.
    pub manager: ManagerAddr,
    /// Its UDP addresses.
    pub at: Vec<SocketAddr>,
    /// The TLS connection that was made meanwhile; the session may be on it.
    pub line: Option<Line>,
}

impl Reached {
    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        !self.at.is_empty() && self.at.iter().all(|address| address.ip().is_loopback())
    }
}

/// Reach one of `managers`.
pub async fn reach(endpoint: &Endpoint, managers: &[ManagerAddr], uplink: &Uplink) -> Result<Reached> {
    let mut failure = Fault::failed("the network names no manager")
        .hint("cococtl network managers NETWORK MGRADDR, by an owner");
    for manager in managers {
        match reach_one(endpoint, manager, uplink).await {
            Ok(reached) => return Ok(reached),
            Err(fault) => failure = fault,
        }
    }
    Err(failure)
}

async fn reach_one(endpoint: &Endpoint, manager: &ManagerAddr, uplink: &Uplink) -> Result<Reached> {
    let location = manager.location();
    let proxied = uplink.proxies.towards(&manager.host).is_ok_and(|proxy| proxy.is_some());
    let at = match resolve(manager).await {
        Ok(at) => at,
        // The proxy resolves the name.
        Err(_) if proxied => Vec::new(),
        Err(fault) => return Err(fault),
    };
    let (tell, found) = mpsc::channel(DIAL_MAX + 1);
    for address in at.iter().take(DIAL_MAX) {
        // There is room for as many as are taken.
        let _ = tell.try_send(Place::Direct(*address));
    }
    let mut dialling = pin!(endpoint.dial_as_found(manager.talk, found, None));
    let mut carrying = pin!(async {
        if !at.is_empty() {
            tokio::time::sleep(UDP_ALONE).await;
        }
        let line = carrier::connect(endpoint, manager, &at, &uplink.proxies).await?;
        // A dial that is over needs no more places.
        let _ = tell.send(line.place()).await;
        drop(tell);
        Ok::<Line, CarrierError>(line)
    });
    let mut carried = None;
    loop {
        tokio::select! {
            dialled = &mut dialling => return match dialled {
                Ok(session) => {
                    let line = carried.and_then(std::result::Result::ok);
                    Ok(Reached { session, manager: manager.clone(), at: at.clone(), line })
                }
                Err(error) => Err(unreached(&location, &error, carried)),
            },
            line = &mut carrying, if carried.is_none() => carried = Some(line),
        }
    }
}

async fn resolve(manager: &ManagerAddr) -> Result<Vec<SocketAddr>> {
    let location = manager.location();
    let resolved = names::look_up(manager.host.as_str(), manager.port);
    match tokio::time::timeout(CONNECT_TIMEOUT, resolved).await {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(Fault::timed_out(format!("cannot resolve the manager {location}"))
            .because(&error)
            .hint("check the host in the manager's address, and this machine's DNS")),
        Err(_) => Err(Fault::timed_out(format!("resolving the manager {location} takes too long"))
            .hint("check this machine's DNS")),
    }
}

fn unreached(
    location: &str,
    error: &DialError,
    carried: Option<std::result::Result<Line, CarrierError>>,
) -> Fault {
    let fault = Fault::timed_out(format!("the manager at {location} does not answer")).because(error);
    match carried {
        Some(Err(tls)) => fault
            .because(&tls)
            .hint("is it running, and can its UDP port, or its TLS port, be reached from here?"),
        Some(Ok(_)) | None => fault.hint("is it running, and can its UDP port be reached from here?"),
    }
}
