//! The manager and the node of these tests.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use coco_tunnel::carrier::proxy::Proxies;
use coco_tunnel::carrier::server::{Limits, Refused, Server};
use coco_tunnel::carrier::{CarrierError, Line, connect};
use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE};
use coco_tunnel::session::Session;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::manager_addr::ManagerAddr;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Nothing on loopback takes this long; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Manager {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: ManagerAddr,
    /// The sessions it took.
    pub(crate) sessions: mpsc::UnboundedReceiver<Session>,
    pub(crate) refused: mpsc::UnboundedReceiver<Refused>,
    serving: JoinHandle<()>,
    accepting: JoinHandle<()>,
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.serving.abort();
        self.accepting.abort();
    }
}

impl Manager {
    pub(crate) fn start(limits: Limits) -> Self {
        let keys = keys(1);
        let endpoint = endpoint(&keys);
        let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], &keys, limits).unwrap();
        let tls = NonZeroU16::new(server.addresses()[0].port());
        let (stamp, talk) = (keys.stamp_key(), keys.static_key());
        // Nothing answers at that UDP port.
        let address = ManagerAddr { stamp, talk, host: "127.0.0.1".parse().unwrap(), port: 9, tls };
        let (tell, refused) = mpsc::unbounded_channel();
        let serving = tokio::spawn(server.run(endpoint.clone(), move |why| {
            let _ = tell.send(why);
        }));
        let (arrived, sessions) = mpsc::unbounded_channel();
        let accepting = tokio::spawn({
            let endpoint = endpoint.clone();
            async move {
                let mut accepting = Accepting::default();
                while let Some(session) = endpoint.accept(&mut accepting).await {
                    let _ = arrived.send(session);
                }
            }
        });
        Self { endpoint, address, sessions, refused, serving, accepting }
    }

    pub(crate) fn tls(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.address.tls_port()).into()
    }

    /// End all TLS at once.
    pub(crate) fn cut(&self) {
        self.serving.abort();
    }

    pub(crate) async fn session(&mut self) -> Session {
        timeout(PATIENCE, self.sessions.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn refusal(&mut self) -> Refused {
        timeout(PATIENCE, self.refused.recv()).await.unwrap().unwrap()
    }
}

pub(crate) fn keys(seed: u8) -> NodeKeys {
    NodeKeys::from_seed(&[seed; SEED_LEN])
}

pub(crate) fn endpoint(keys: &NodeKeys) -> Endpoint {
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    Endpoint::bind(&options).unwrap()
}

pub(crate) async fn line(
    node: &Endpoint,
    manager: &ManagerAddr,
    proxies: &Proxies,
) -> Result<Line, CarrierError> {
    let addresses = [([127, 0, 0, 1], 9).into()];
    timeout(PATIENCE, connect(node, manager, &addresses, proxies)).await.unwrap()
}

/// A session that goes over `line` and nowhere else.
pub(crate) async fn session_over(node: &Endpoint, manager: &ManagerAddr, line: &Line) -> Session {
    let (tell, found) = mpsc::channel(1);
    tell.try_send(line.place()).unwrap();
    drop(tell);
    timeout(PATIENCE, node.dial_as_found(manager.talk, found, Some(KEEP_ALIVE))).await.unwrap().unwrap()
}

/// Send back what comes, until there is no more.
pub(crate) async fn echo(mut channel: Channel) {
    let mut chunks = [const { Bytes::new() }; 16];
    while let Ok(Some(count)) = channel.rx.read(&mut chunks).await {
        for chunk in &mut chunks[..count] {
            if channel.tx.write(std::mem::take(chunk)).await.is_err() {
                return;
            }
        }
    }
    channel.tx.finish();
    let _ = channel.tx.stopped().await;
}
