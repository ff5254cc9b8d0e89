//! Through an HTTP proxy, and what proxies say when they do not let through.

use std::time::Duration;

use coco_tunnel::carrier::proxy::{Proxies, ProxyError};
use coco_tunnel::carrier::server::Limits;
use coco_tunnel::carrier::{CONNECT_TIMEOUT, CarrierError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::ends::{Manager, endpoint, keys, line, session_over};

/// What a proxy does with those who come.
#[derive(Clone, Copy)]
enum Manners {
    /// Connect whoever says so: "open:sesame".
    Ask,
    /// Connect everybody.
    Open,
    /// Answer that, and nothing more.
    Say(&'static [u8]),
    /// Say nothing.
    Hang,
}

/// A proxy for one connection. Gives back what it was asked.
async fn proxy(manners: Manners) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(near.read_buf(&mut head).await.unwrap() > 0);
        }
        let head = String::from_utf8(head).unwrap();
        let to = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
        let known = head.contains("\r\nProxy-Authorization: Basic b3BlbjpzZXNhbWU=\r\n");
        match manners {
            Manners::Ask if !known => {
                let asks = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
                near.write_all(asks.as_bytes()).await.unwrap();
            }
            Manners::Ask | Manners::Open => {
                let mut far = TcpStream::connect(to).await.unwrap();
                near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
            Manners::Say(answer) => near.write_all(answer).await.unwrap(),
            Manners::Hang => {
                let _ = near.read(&mut [0]).await;
            }
        }
        head
    });
    (location, serving)
}

fn through(url: &str) -> Proxies {
    Proxies::Always(url.parse().unwrap())
}

async fn refusal(manners: Manners, credentials: &str) -> CarrierError {
    let manager = Manager::start(Limits::default());
    let node = endpoint(&keys(2));
    let (location, _serving) = proxy(manners).await;
    line(&node, &manager.address, &through(&format!("http://{credentials}{location}"))).await.unwrap_err()
}

fn reason(error: CarrierError) -> ProxyError {
    match error {
        CarrierError::Proxy { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_goes_through_a_proxy_that_knows_us() {
    for (manners, credentials) in [(Manners::Open, ""), (Manners::Ask, "open:sesame@")] {
        let mut manager = Manager::start(Limits::default());
        let node = endpoint(&keys(2));
        let (location, serving) = proxy(manners).await;
        let proxies = through(&format!("http://{credentials}{location}"));
        let line = line(&node, &manager.address, &proxies).await.unwrap();
        assert_eq!(line.peer().to_string(), location);
        session_over(&node, &manager.address, &line).await;
        manager.session().await;
        drop(line);
        let asked = serving.await.unwrap();
        assert!(asked.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", manager.tls())), "{asked}");
        assert!(!asked.contains("open:sesame"));
    }
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told_with_its_reason() {
    assert_eq!(reason(refusal(Manners::Ask, "").await), ProxyError::Unauthorized);
    assert_eq!(reason(refusal(Manners::Ask, "open:wrong@").await), ProxyError::WrongCredentials);
    let no = Manners::Say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(reason(refusal(no, "").await), ProxyError::Refused(403));
    assert_eq!(reason(refusal(Manners::Say(b"SSH-2.0-OpenSSH\r\n"), "").await), ProxyError::Protocol);
    assert_eq!(reason(refusal(Manners::Say(b"HTTP/1.1 200"), "").await), ProxyError::Protocol);
    let early = Manners::Say(b"HTTP/1.1 200 ok\r\n\r\n\x16\x03\x03");
    assert_eq!(reason(refusal(early, "").await), ProxyError::Protocol);
}

#[tokio::test]
async fn a_proxy_that_hangs_is_given_up() {
    let began = std::time::Instant::now();
    let error = refusal(Manners::Hang, "").await;
    assert!(matches!(error, CarrierError::TimedOut(_)), "{error:?}");
    assert!(began.elapsed() < CONNECT_TIMEOUT + Duration::from_secs(5));
}

/// A proxy that ends TLS itself, as some companies' do, has not the manager's key.
#[tokio::test]
async fn a_proxy_that_listens_in_is_noticed() {
    let node = endpoint(&keys(2));
    let manager = Manager::start(Limits::default());
    let theirs = keys(9);
    let listening_in = coco_tunnel::carrier::server::Server::bind(
        &["127.0.0.1:0".parse().unwrap()],
        &theirs,
        Limits::default(),
    )
    .unwrap();
    let port = listening_in.addresses()[0].port();
    let serving = tokio::spawn(listening_in.run(endpoint(&theirs), |_| {}));
    let address = coconet::manager_addr::ManagerAddr {
        tls: std::num::NonZeroU16::new(port),
        ..manager.address.clone()
    };
    let (location, _proxying) = proxy(Manners::Open).await;
    let error = line(&node, &address, &through(&location)).await.unwrap_err();
    assert!(matches!(error, CarrierError::WrongKey(_)), "{error:?}");
    serving.abort();
}
