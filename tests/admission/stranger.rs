//! A node that does not keep to the rules: it says what it likes, and asks for everything at once.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use coco_tunnel::channel::{Channel, Cut};
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE};
use coco_tunnel::frame;
use coco_tunnel::session::{Ended, Session};
use coconet::id::StaticKey;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::wire::code::Close;
use coconet::wire::node::{Greeting, Hello, Reply, Request};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::guarded::{SAFE, SECRET, Seen};
use crate::support::wait::PATIENCE;

/// Streams on which a stranger asks for the resource, before anybody has let it in.
const GREED: usize = 4;

/// A node with a key and no manners.
pub(crate) struct Stranger {
    runtime: Runtime,
    pub(crate) keys: NodeKeys,
    endpoint: Endpoint,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// What the exporter closed the session with.
    pub(crate) close: Close,
    /// Bytes that came back on the streams that asked for the resource.
    pub(crate) bytes: usize,
}

/// Refused with `close`, and not a byte came through.
pub(crate) fn refused(close: Close) -> Outcome {
    Outcome { close, bytes: 0 }
}

/// A session in which a stranger was let in.
pub(crate) struct Inside {
    session: Session,
    stream: Channel,
}

impl Stranger {
    /// With keys that no ledger has.
    pub(crate) fn new() -> Self {
        let mut seed = [0; SEED_LEN];
        getrandom::fill(&mut seed).unwrap();
        Self::with(NodeKeys::from_seed(&seed))
    }

    /// With these keys, however it came by them.
    pub(crate) fn with(keys: NodeKeys) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = EndpointOptions {
            secret: keys.static_secret(),
            reset: Zeroizing::new([7; 32]),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            any_port: false,
        };
        let endpoint = {
            let _inside = runtime.enter();
            Endpoint::bind(&options).unwrap()
        };
        Self { runtime, keys, endpoint }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.addresses()[0]
    }

    /// The first packets of a dial to the holder of `key`, caught before they get there.
    pub(crate) fn first_flight(&self, key: StaticKey) -> Vec<Vec<u8>> {
        self.runtime.block_on(async {
            let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = [sink.local_addr().unwrap()];
            let caught = async {
                let mut flight = Vec::new();
                // The KEM key makes a hello longer than one datagram and shorter than three.
                for _ in 0..2 {
                    let mut packet = vec![0; 2048];
                    let len = sink.recv(&mut packet).await.unwrap();
                    packet.truncate(len);
                    flight.push(packet);
                }
                flight
            };
            tokio::select! {
                flight = caught => flight,
                dialled = self.endpoint.dial(key, &address, KEEP_ALIVE) => panic!("{dialled:?}"),
            }
        })
    }

    /// How many sessions others have opened with it.
    pub(crate) fn sessions(&self) -> usize {
        self.runtime.block_on(async {
            let mut accepting = Accepting::default();
            let mut count = 0;
            // What has come has come; nobody is waited for.
            while let Ok(Some(_)) =
                tokio::time::timeout(Duration::from_millis(200), self.endpoint.accept(&mut accepting)).await
            {
                count += 1;
            }
            count
        })
    }

    /// Say `hello` to the exporter, show it `entries`, and ask for the resource without waiting for leave.
    pub(crate) fn attacks(&self, exporter: &Seen, hello: &Hello, entries: &[Vec<u8>]) -> Outcome {
        self.runtime.block_on(async {
            let work = async {
                let session = self.session(exporter).await;
                let mut first = session.open().await.unwrap();
                let mut greedy = Vec::new();
                for probe in [false, true].into_iter().cycle().take(GREED) {
                    greedy.push(ask(&session, probe).await);
                }
                // The session may be closed while we are still talking.
                let _ = frame::write(&mut first.tx, hello).await;
                for entry in entries {
                    let _ = frame::write(&mut first.tx, &Greeting::Entry(entry.clone())).await;
                }
                let _ = frame::write(&mut first.tx, &Greeting::Done).await;
                let mut bytes = 0;
                for mut stream in greedy {
                    while stream.rx.read_exact(&mut [0]).await == Ok(true) {
                        bytes += 1;
                    }
                }
                Outcome { close: closed(&session).await, bytes }
            };
            tokio::time::timeout(PATIENCE, work).await.unwrap()
        })
    }

    /// As a member: greet, ask for the resource, and read its secret.
    pub(crate) fn gets_in(&self, exporter: &Seen) -> Inside {
        self.runtime.block_on(async {
            let work = async {
                let session = self.session(exporter).await;
                let mut first = session.open().await.unwrap();
                frame::write(&mut first.tx, &exporter.hello()).await.unwrap();
                frame::write(&mut first.tx, &Greeting::Done).await.unwrap();
                let _: Hello = frame::read(&mut first.rx).await.unwrap();
                let mut stream = ask(&session, false).await;
                let reply: Reply = frame::read(&mut stream.rx).await.unwrap();
                assert_eq!(reply, Reply::Ok);
                let mut secret = [0; SECRET.len()];
                assert_eq!(stream.rx.read_exact(&mut secret).await, Ok(true));
                assert_eq!(secret, SECRET);
                Inside { session, stream }
            };
            tokio::time::timeout(PATIENCE, work).await.unwrap()
        })
    }

    /// Hold on to what one has while `act` takes it away: how long after its beginning the stream was cut,
    /// and with which code the session was closed.
    pub(crate) fn holds_on(&self, inside: Inside, act: impl FnOnce()) -> (Duration, Close) {
        let Inside { session, mut stream } = inside;
        let holding = async {
            let cut = stream.rx.read_exact(&mut [0]).await;
            assert!(matches!(cut, Err(Cut::Reset(_) | Cut::Lost)), "{cut:?}");
            (Instant::now(), closed(&session).await)
        };
        thread::scope(|scope| {
            let holding = scope.spawn(|| {
                self.runtime.block_on(async { tokio::time::timeout(PATIENCE, holding).await.unwrap() })
            });
            let began = Instant::now();
            act();
            let (cut, code) = holding.join().unwrap();
            (cut.checked_duration_since(began).expect("cut before anything was done"), code)
        })
    }

    async fn session(&self, exporter: &Seen) -> Session {
        self.endpoint.dial(exporter.key, &[exporter.address], KEEP_ALIVE).await.unwrap()
    }
}

async fn ask(session: &Session, probe: bool) -> Channel {
    let mut stream = session.open().await.unwrap();
    let open = Request::Open { resource: SAFE.parse().unwrap(), probe };
    frame::write(&mut stream.tx, &open).await.unwrap();
    stream
}

async fn closed(session: &Session) -> Close {
    match session.closed().await {
        Ended::Closed(code) => code,
        other => panic!("{other:?}"),
    }
}
