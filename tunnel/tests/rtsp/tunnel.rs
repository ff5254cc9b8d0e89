//! Both ends of a tunnel, with a listener.

use std::net::SocketAddr;
use std::sync::Arc;

use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE};
use coco_tunnel::forward::rtsp::{self, Ports};
use coco_tunnel::forward::{Caller, Counted, Local, Meter, Service};
use coco_tunnel::frame;
use coco_tunnel::session::Session;
use coconet::grant::Capabilities;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::rights::Rights;
use coconet::service::{Login, ServiceOptions};
use coconet::wire::code::{Close, Reset};
use coconet::wire::node::{Reply, Request};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::soon;

/// What is asked for of a tunnel.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) login: Option<&'static str>,
    pub(crate) options: ServiceOptions,
    /// All when empty.
    pub(crate) rights: Vec<&'static str>,
    /// The path of the exposed URL.
    pub(crate) path: &'static str,
    /// Every open is refused with this.
    pub(crate) refused: Option<Reset>,
}

/// A tunnel to a camera.
pub(crate) struct Tunnel {
    /// Where players connect.
    pub(crate) listen: SocketAddr,
    pub(crate) service: Arc<Service>,
    near: Session,
    _endpoints: (Endpoint, Endpoint),
}

impl Tunnel {
    pub(crate) async fn open(camera: SocketAddr, asked: Asked) -> Self {
        let ((near, far), endpoints) = soon(sessions()).await;
        let target = format!("rtsp://{camera}{}", asked.path).parse().unwrap();
        let login = asked.login.map(|login| login.parse::<Login>().unwrap());
        let service = Arc::new(Service::new(target, asked.options, login));
        let rights = if asked.rights.is_empty() {
            Rights::All
        } else {
            Rights::Only(Capabilities::new(asked.rights.iter().map(ToString::to_string).collect()).unwrap())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        tokio::spawn(listens(listener, near.clone()));
        tokio::spawn(exports(far, Arc::clone(&service), rights, asked.refused));
        Self { listen, service, near, _endpoints: endpoints }
    }

    /// The session between the two nodes ends.
    pub(crate) fn lose(&self) {
        self.near.close(Close::Done);
    }
}

async fn listens(listener: TcpListener, session: Session) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let session = session.clone();
        tokio::spawn(async move {
            let mut channel = session.open().await.unwrap();
            frame::write(&mut channel.tx, &Request::Ping).await.unwrap();
            let meter = Meter::default();
            let _ended =
                rtsp::near(Local::tcp(stream), channel, &Ports::Own, &meter, std::future::pending()).await;
        });
    }
}

async fn exports(session: Session, service: Arc<Service>, rights: Rights, refused: Option<Reset>) {
    // As the daemon does it: what was served goes with the session.
    let mut served = tokio::task::JoinSet::new();
    while let Ok(mut channel) = session.accept().await {
        let (service, caller) =
            (Arc::clone(&service), Caller { rights: rights.clone(), alias: "viewer".to_owned() });
        served.spawn(async move {
            let _: Request = frame::read(&mut channel.rx).await.unwrap();
            if let Some(code) = refused {
                frame::write(&mut channel.tx, &Reply::refused(code, "no")).await.unwrap();
                channel.tx.finish();
                return;
            }
            frame::write(&mut channel.tx, &Reply::Ok).await.unwrap();
            let _counted = Counted::new(&service.meter);
            let _ended = rtsp::far(&service, &caller, channel, std::future::pending()).await;
        });
    }
}

fn endpoint(keys: &NodeKeys) -> Endpoint {
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    Endpoint::bind(&options).unwrap()
}

async fn sessions() -> ((Session, Session), (Endpoint, Endpoint)) {
    let (near, far) = (NodeKeys::from_seed(&[1; SEED_LEN]), NodeKeys::from_seed(&[2; SEED_LEN]));
    let (from, to) = (endpoint(&near), endpoint(&far));
    let addresses = to.addresses();
    let mut accepting = Accepting::default();
    let both =
        tokio::join!(async { from.dial(far.static_key(), &addresses, KEEP_ALIVE).await.unwrap() }, async {
            to.accept(&mut accepting).await.unwrap()
        });
    (both, (from, to))
}
