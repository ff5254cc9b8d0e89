//! Each end of forwarded HTTP for itself, on a session over loopback: the exporter's with a listener that
//! lets everything through, and the listener's with an exporter that does not open.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../src/forward/http/corpus.rs"]
mod corpus;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use coco_tunnel::channel::{Channel, Cut};
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE};
use coco_tunnel::forward::{Broken, Caller, Local, Meter, Service, http};
use coco_tunnel::frame;
use coco_tunnel::session::Session;
use coconet::grant::Capabilities;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::rights::Rights;
use coconet::service::ServiceOptions;
use coconet::wire::code::Reset;
use coconet::wire::node::{Reply, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Nothing on loopback takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn endpoint(keys: &NodeKeys) -> Endpoint {
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    Endpoint::bind(&options).unwrap()
}

/// Two nodes that talk to each other.
struct Pair {
    near: Session,
    far: Session,
    _endpoints: (Endpoint, Endpoint),
}

impl Pair {
    async fn new() -> Self {
        let (near, far) = (NodeKeys::from_seed(&[1; SEED_LEN]), NodeKeys::from_seed(&[2; SEED_LEN]));
        let (from, to) = (endpoint(&near), endpoint(&far));
        let addresses = to.addresses();
        let mut accepting = Accepting::default();
        let both = async {
            tokio::join!(
                async { from.dial(far.static_key(), &addresses, KEEP_ALIVE).await.unwrap() },
                async { to.accept(&mut accepting).await.unwrap() }
            )
        };
        let (near, far) = timeout(PATIENCE, both).await.unwrap();
        Self { near, far, _endpoints: (from, to) }
    }

    /// Both ends of a channel, the dialler's first. The request has been sent and read.
    async fn channel(&self) -> (Channel, Channel) {
        let mut ours = self.near.open().await.unwrap();
        frame::write(&mut ours.tx, &Request::Ping).await.unwrap();
        let mut theirs = self.far.accept().await.unwrap();
        let _: Request = frame::read(&mut theirs.rx).await.unwrap();
        (ours, theirs)
    }
}

/// A target that remembers every byte and answers nothing.
struct Target {
    service: Arc<Service>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Target {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let hearing = Arc::clone(&hearing);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        hearing.lock().unwrap().extend_from_slice(&buffer[..count]);
                    }
                });
            }
        });
        let service = Service::new(url.parse().unwrap(), ServiceOptions::default(), None);
        Self { service: Arc::new(service), heard }
    }

    /// The exporter's end of `channel`, and what cuts it.
    async fn serve(
        &self,
        channel: Channel,
        rights: Rights,
    ) -> (JoinHandle<Result<(), Broken>>, oneshot::Sender<Reset>) {
        let local = coco_tunnel::forward::connect(&self.service.target.place).await.unwrap();
        let (service, (cut, cutting)) = (Arc::clone(&self.service), oneshot::channel());
        let caller = Caller { rights, alias: "abcdefghijklmnop".to_owned() };
        let serving = tokio::spawn(async move {
            let cut = async { cutting.await.unwrap_or(Reset::GoingAway) };
            http::far(&service, &caller, local, channel, cut).await
        });
        (serving, cut)
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

/// All that comes until the end.
async fn hear(channel: &mut Channel) -> Result<String, Cut> {
    let (mut heard, mut chunks) = (Vec::new(), [const { Bytes::new() }; 8]);
    while let Some(count) = channel.rx.read(&mut chunks).await? {
        chunks[..count].iter().for_each(|chunk| heard.extend_from_slice(chunk));
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

#[tokio::test]
async fn the_exporter_refuses_the_corpus_whatever_the_listener_lets_through() {
    let pair = Pair::new().await;
    let target = Target::start().await;
    for (name, bytes, word) in corpus::CORPUS {
        let (mut channel, theirs) = pair.channel().await;
        let (serving, _cut) = target.serve(theirs, Rights::All).await;
        channel.tx.write(corpus::for_host(bytes, "h").into()).await.unwrap();
        let answer = timeout(PATIENCE, hear(&mut channel)).await.unwrap().unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 ") && answer.ends_with(&format!(" ({word})\n")),
            "{name}: {answer}"
        );
        channel.tx.finish();
        assert!(timeout(PATIENCE, serving).await.unwrap().unwrap().is_ok(), "{name}");
    }
    assert_eq!(target.heard(), "");
    let refused: u64 = target.service.http.refused().map(|(_, count)| count).sum();
    assert_eq!((refused, target.service.http.requests()), (corpus::CORPUS.len() as u64, 0));
}

#[tokio::test]
async fn the_exporter_judges_by_the_caller_and_takes_no_word_for_who_it_is() {
    let pair = Pair::new().await;
    let target = Target::start().await;
    let rights = || Rights::Only(Capabilities::new(vec!["read:/snapshot".to_owned()]).unwrap());
    for (line, word) in [
        ("POST /snapshot", "method"),
        ("GET /admin", "path"),
        ("GET /snapshot/%2e%2e/admin", "ambiguous-path"),
    ] {
        let (mut channel, theirs) = pair.channel().await;
        let (_serving, _cut) = target.serve(theirs, rights()).await;
        let head = format!("{line} HTTP/1.1\r\nHost: h\r\nCoco-Peer: owner\r\n\r\n");
        channel.tx.write(head.into()).await.unwrap();
        let answer = timeout(PATIENCE, hear(&mut channel)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with(&format!(" ({word})\n")), "{answer}");
    }
    assert_eq!(target.heard(), "");

    let (mut channel, theirs) = pair.channel().await;
    let (_serving, _cut) = target.serve(theirs, rights()).await;
    channel.tx.write("GET /snapshot HTTP/1.1\r\nHost: h\r\nCoco-Peer: owner\r\n\r\n".into()).await.unwrap();
    let arrived = async {
        while !target.heard().ends_with("\r\n\r\n") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap();
    assert!(
        !target.heard().contains("owner") && target.heard().contains("\r\nCoco-Peer: abcdefghijklmnop\r\n")
    );
}

#[tokio::test]
async fn a_right_that_ends_cuts_what_is_open() {
    let pair = Pair::new().await;
    let target = Target::start().await;
    let (mut channel, theirs) = pair.channel().await;
    let (serving, cut) = target.serve(theirs, Rights::All).await;
    channel.tx.write("GET /events HTTP/1.1\r\nHost: h\r\n\r\n".into()).await.unwrap();
    cut.send(Reset::Revoked).unwrap();
    assert_eq!(timeout(PATIENCE, hear(&mut channel)).await.unwrap(), Err(Cut::Reset(Reset::Revoked)));
    assert!(matches!(serving.await.unwrap(), Err(Broken::Here(Reset::Revoked))));
}

#[tokio::test]
async fn an_application_is_told_in_http_why_the_exporter_does_not_open() {
    let pair = Pair::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (app, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (mut app, local) = (app.unwrap(), Local::tcp(accepted.unwrap().0));
    let (channel, mut theirs) = pair.channel().await;
    let near = tokio::spawn(async move {
        let names = http::Names::of_address(address, "web", "home");
        let (counters, meter) = (http::Counters::default(), Meter::default());
        http::near(local, channel, &names, &counters, &meter, std::future::pending()).await
    });
    app.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\nand more").as_bytes()).await.unwrap();
    frame::write(&mut theirs.tx, &Reply::refused(Reset::MaxClients, "no more clients")).await.unwrap();

    let mut told = String::new();
    timeout(PATIENCE, app.read_to_string(&mut told)).await.unwrap().unwrap();

    assert!(told.starts_with("HTTP/1.1 503 ") && told.ends_with(" (max-clients)\n"), "{told}");
    drop(app);
    let ended = timeout(PATIENCE, near).await.unwrap().unwrap();
    assert!(matches!(ended, Err(Broken::Refused { code: Reset::MaxClients, .. })), "{ended:?}");
}
