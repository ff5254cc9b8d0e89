//! What a session over a line can do, and how it ends.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use coco_tunnel::carrier::proxy::Proxies;
use coco_tunnel::carrier::server::Limits;
use coco_tunnel::carrier::{CarrierError, LineEnd};
use coco_tunnel::session::Session;
use coco_tunnel::socket::Place;
use coconet::manager_addr::ManagerAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ends::{Manager, PATIENCE, echo, endpoint, keys, line, session_over};

const MEGABYTES: usize = 10;

fn block(number: usize) -> Bytes {
    (0..1 << 20).map(|at: usize| (at.wrapping_mul(31) ^ number) as u8).collect()
}

/// Send so many megabytes, and read them back, the first of them after `delay`.
async fn ten_megabytes_and_back(session: &Session, delay: Duration) {
    let channel = session.open().await.unwrap();
    let (mut tx, mut rx) = (channel.tx, channel.rx);
    let sending: JoinHandle<()> = tokio::spawn(async move {
        for number in 0..MEGABYTES {
            tx.write(block(number)).await.unwrap();
        }
        tx.finish();
        let _ = tx.stopped().await;
    });
    tokio::time::sleep(delay).await;
    let mut back = vec![0; 1 << 20];
    for number in 0..MEGABYTES {
        assert!(timeout(PATIENCE, rx.read_exact(&mut back)).await.unwrap().unwrap());
        assert!(back == block(number), "megabyte {number}");
    }
    assert!(!rx.read_exact(&mut [0]).await.unwrap(), "and no more");
    timeout(PATIENCE, sending).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_session_goes_over_tls_where_there_is_no_udp() {
    let mut manager = Manager::start(Limits::default());
    let node = endpoint(&keys(2));
    let line = line(&node, &manager.address, &Proxies::Off).await.unwrap();
    assert_eq!(line.peer(), manager.tls());
    let session = session_over(&node, &manager.address, &line).await;
    assert_eq!(session.place(), Some(line.place()));
    let taken = manager.session().await;

    let place = taken.place().unwrap();
    assert!(matches!(place, Place::Carrier(_)) && taken.remote().is_none());
    let from = manager.endpoint.carried_from(place).unwrap();
    assert!(from.ip().is_loopback() && from.port() != manager.address.tls_port());

    let serving = tokio::spawn(async move { echo(taken.accept().await.unwrap()).await });
    ten_megabytes_and_back(&session, Duration::ZERO).await;
    serving.await.unwrap();

    drop(line);
    timeout(PATIENCE, async {
        while manager.endpoint.carried_from(place).is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_reader_that_is_slow_loses_nothing() {
    let mut manager = Manager::start(Limits::default());
    let node = endpoint(&keys(2));
    let line = line(&node, &manager.address, &Proxies::Off).await.unwrap();
    let session = session_over(&node, &manager.address, &line).await;
    let taken = manager.session().await;
    let serving = tokio::spawn(async move { echo(taken.accept().await.unwrap()).await });
    // By then every buffer on the way is full.
    ten_megabytes_and_back(&session, Duration::from_millis(700)).await;
    serving.await.unwrap();
}

/// Between the two, TCP that is taken in sips: the queue of the line overflows, and QUIC makes good for it.
#[tokio::test]
async fn what_a_full_line_loses_is_sent_again() {
    let mut manager = Manager::start(Limits::default());
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, tls) = (slow.local_addr().unwrap().port(), manager.tls());
    let between = tokio::spawn(async move {
        let (mut near, _) = slow.accept().await.unwrap();
        let mut far = TcpStream::connect(tls).await.unwrap();
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        let up = async {
            let mut sip = vec![0; 8 * 1024];
            loop {
                let count = near_read.read(&mut sip).await.unwrap();
                far_write.write_all(&sip[..count]).await.unwrap();
                // Some 4 MB/s.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            () = up => {}
            _ = tokio::io::copy(&mut far_read, &mut near_write) => {}
        }
    });
    let address = ManagerAddr { tls: NonZeroU16::new(port), ..manager.address.clone() };
    let node = endpoint(&keys(2));
    let line = line(&node, &address, &Proxies::Off).await.unwrap();
    let session = session_over(&node, &address, &line).await;
    let taken = manager.session().await;
    let serving = tokio::spawn(async move { echo(taken.accept().await.unwrap()).await });
    ten_megabytes_and_back(&session, Duration::ZERO).await;
    serving.await.unwrap();
    let (_, lost) = session.stats().packets;
    assert!(lost > 0, "nothing was lost: the line was never full");
    between.abort();
}

#[tokio::test]
async fn a_line_that_is_cut_says_so_at_once_and_the_session_hears_of_it_later() {
    let mut manager = Manager::start(Limits::default());
    let node = endpoint(&keys(2));
    let one = line(&node, &manager.address, &Proxies::Off).await.unwrap();
    let session = session_over(&node, &manager.address, &one).await;
    let _taken = manager.session().await;
    manager.cut();
    assert_eq!(timeout(PATIENCE, one.closed()).await.unwrap(), LineEnd::Closed);
    assert!(session.end().is_none(), "QUIC has not noticed yet");
    let failure = line(&node, &manager.address, &Proxies::Off).await.unwrap_err();
    assert!(matches!(failure, CarrierError::Connect { .. }), "{failure}");
    session.close(coconet::wire::code::Close::Done);
    assert!(session.end().is_some());
}

#[tokio::test]
async fn a_line_ends_with_the_endpoint_of_the_other_side() {
    let mut manager = Manager::start(Limits::default());
    let node = endpoint(&keys(2));
    let line = line(&node, &manager.address, &Proxies::Off).await.unwrap();
    let session = session_over(&node, &manager.address, &line).await;
    let taken = manager.session().await;
    // The goodbye goes over the line as well.
    taken.close(coconet::wire::code::Close::Busy);
    let ended = timeout(PATIENCE, session.closed()).await.unwrap();
    assert_eq!(ended, coco_tunnel::session::Ended::Closed(coconet::wire::code::Close::Busy));
}

#[tokio::test]
async fn another_managers_key_is_refused_before_anything_is_said() {
    let manager = Manager::start(Limits::default());
    let node = endpoint(&keys(2));
    let stamp = keys(3).stamp_key();
    let address = ManagerAddr { stamp, ..manager.address.clone() };
    let failure = line(&node, &address, &Proxies::Off).await.unwrap_err();
    assert!(matches!(failure, CarrierError::WrongKey(_)), "{failure:?}");
}

#[tokio::test]
async fn a_port_that_is_not_tls_or_nobodys_gives_its_reason() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut tcp, _) = plain.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = tcp.read(&mut [0; 1024]).await;
    });
    let node = endpoint(&keys(2));
    let (stamp, talk) = (keys(1).stamp_key(), keys(1).static_key());
    let mut address =
        ManagerAddr { stamp, talk, host: "127.0.0.1".parse().unwrap(), port: 9, tls: NonZeroU16::new(port) };
    let failure = line(&node, &address, &Proxies::Off).await.unwrap_err();
    assert!(matches!(failure, CarrierError::Tls { .. }), "{failure:?}");
    serving.await.unwrap();

    let failure = line(&node, &address, &Proxies::Off).await.unwrap_err();
    assert!(matches!(failure, CarrierError::Connect { .. }), "{failure:?}");
    address.host = "name.invalid".parse().unwrap();
    let unresolved = coco_tunnel::carrier::connect(&node, &address, &[], &Proxies::Off).await.unwrap_err();
    assert!(matches!(unresolved, CarrierError::NoAddress), "{unresolved:?}");
}
