//! A port mapping and a router that a test plays.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

use super::*;
use crate::surroundings::port_mapping::router::NoMapping;

const PORT: u16 = 4433;
const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const PATIENCE: Duration = Duration::from_secs(20);

/// A router on an address of this machine that no other test uses.
struct Played {
    gateway: Ipv4Addr,
    /// What it was asked, in the test's words.
    asked: mpsc::UnboundedReceiver<String>,
    links: watch::Sender<Arc<Links>>,
}

impl Played {
    fn mapping(&self) -> PortMapping {
        PortMapping::keep(PORT, self.links.subscribe())
    }

    async fn asked(&mut self) -> String {
        timeout(PATIENCE, self.asked.recv()).await.unwrap().unwrap()
    }
}

fn links(gateway: Option<Ipv4Addr>) -> Arc<Links> {
    let mut links = Links::default();
    links.gateway = gateway;
    Arc::new(links)
}

/// One that answers on PCP's port as `answer` does, which also says in words what was asked.
async fn by_udp(last: u8, answer: impl Fn(&[u8]) -> (String, Vec<u8>) + Send + 'static) -> Played {
    let gateway = Ipv4Addr::new(127, 53, 51, last);
    let socket = UdpSocket::bind((gateway, nat_pmp::PORT)).await.unwrap();
    let (tell, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut question = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            let (words, answer) = answer(&question[..length]);
            let _ = tell.send(words);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    Played { gateway, asked, links: watch::channel(links(Some(gateway))).0 }
}

/// As PCP says it.
fn pcp_answer(question: &[u8], ip: Ipv4Addr, port: u16) -> (String, Vec<u8>) {
    assert_eq!((question[0], question.len()), (2, 60), "not PCP");
    let mut answer = question.to_vec();
    answer[1] |= 0x80;
    answer[8..24].fill(0);
    answer[42..44].copy_from_slice(&port.to_be_bytes());
    answer[44..60].copy_from_slice(&ip.to_ipv6_mapped().octets());
    let lifetime = u32::from_be_bytes(question[4..8].try_into().unwrap());
    let wish = u16::from_be_bytes(question[42..44].try_into().unwrap());
    (format!("{lifetime} s to {wish}, nonce {:02x?}", &question[24..36]), answer)
}

async fn told(mapping: &PortMapping, wanted: impl Fn(&State) -> bool) -> State {
    let mut state = mapping.state();
    timeout(PATIENCE, state.wait_for(wanted)).await.unwrap().unwrap().clone()
}

async fn settled(mapping: &PortMapping) -> State {
    told(mapping, |state| *state != State::Asking).await
}

#[tokio::test]
async fn a_mapping_by_pcp_is_renewed_and_given_back() {
    let mut router = by_udp(1, |question| pcp_answer(question, PUBLIC, 8888)).await;
    let mapping = router.mapping();
    assert_eq!(settled(&mapping).await, State::Mapped(SocketAddrV4::new(PUBLIC, 8888), Means::Pcp));
    let first = router.asked().await;
    let nonce = first.strip_prefix("7200 s to 4433, ").unwrap().to_owned();
    // Half of its time is over.
    tokio::time::pause();
    tokio::time::advance(router::LIFETIME / 2 + Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(router.asked().await, format!("7200 s to 8888, {nonce}"));
    // The answer to that is on its way; the mapping is given back all the same.
    mapping.release().await;
    assert_eq!(router.asked().await, format!("0 s to 8888, {nonce}"));
}

#[tokio::test]
async fn a_router_of_nat_pmp_is_understood() {
    let mut router = by_udp(2, |question| match *question {
        [0, 0] => ("address".to_owned(), [&[0, 128, 0, 0, 0, 0, 0, 9], &PUBLIC.octets()[..]].concat()),
        [0, 1, 0, 0, a, b, c, d, e, f, g, h] => {
            let words = format!("{} s", u32::from_be_bytes([e, f, g, h]));
            assert_eq!(u16::from_be_bytes([a, b]), PORT);
            (words, vec![0, 129, 0, 0, 0, 0, 0, 9, a, b, c, d, e, f, g, h])
        }
        _ => ("something newer".to_owned(), vec![0, 129, 0, 1, 0, 0, 0, 9]),
    })
    .await;
    let mapping = router.mapping();
    assert_eq!(settled(&mapping).await, State::Mapped(SocketAddrV4::new(PUBLIC, PORT), Means::NatPmp));
    mapping.release().await;
    for words in ["something newer", "7200 s", "address", "0 s"] {
        assert_eq!(router.asked().await, words);
    }
}

#[tokio::test]
async fn a_router_inside_another_nat_gets_its_mapping_back() {
    let mut router = by_udp(3, |question| pcp_answer(question, Ipv4Addr::new(100, 64, 1, 2), 8888)).await;
    let mapping = router.mapping();
    assert_eq!(settled(&mapping).await, State::Inside(Ipv4Addr::new(100, 64, 1, 2), Means::Pcp));
    assert!(router.asked().await.starts_with("7200 s"));
    assert!(router.asked().await.starts_with("0 s"));
}

#[tokio::test]
async fn another_router_is_asked_and_without_one_there_is_no_mapping() {
    let first = by_udp(4, |question| pcp_answer(question, PUBLIC, 8888)).await;
    let second = by_udp(5, |question| pcp_answer(question, PUBLIC, 9999)).await;
    let mapping = first.mapping();
    assert_eq!(settled(&mapping).await, State::Mapped(SocketAddrV4::new(PUBLIC, 8888), Means::Pcp));
    first.links.send_replace(links(Some(second.gateway)));
    tokio::time::pause();
    tokio::time::advance(PAUSE).await;
    tokio::time::resume();
    told(&mapping, |state| *state == State::Mapped(SocketAddrV4::new(PUBLIC, 9999), Means::Pcp)).await;
    first.links.send_replace(links(None));
    tokio::time::pause();
    tokio::time::advance(PAUSE).await;
    tokio::time::resume();
    told(&mapping, |state| matches!(state, State::None(_))).await;
}

#[tokio::test]
async fn a_router_that_answers_nothing_is_told_as_that() {
    let links = watch::channel(links(Some(Ipv4Addr::new(127, 53, 51, 6)))).0;
    let mapping = PortMapping::keep(PORT, links.subscribe());
    let State::None(reason) = settled(&mapping).await else { panic!("{:?}", settled(&mapping).await) };
    assert_eq!(reason, NoMapping::Silent.to_string());
    mapping.release().await;
}

/// A router of UPnP: its description, and what `answer` makes of an action and its body.
async fn by_upnp(last: u8, answer: impl Fn(&str, &str) -> (u16, String) + Send + 'static) -> Played {
    let gateway = Ipv4Addr::new(127, 53, 51, last);
    let search = UdpSocket::bind((gateway, upnp::SEARCH.port())).await.unwrap();
    let web = TcpListener::bind((gateway, 0)).await.unwrap();
    let port = web.local_addr().unwrap().port();
    let (tell, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut question = [0; 1500];
        while let Ok((length, from)) = search.recv_from(&mut question).await {
            assert!(question[..length].starts_with(b"M-SEARCH * HTTP/1.1\r\n"));
            let elsewhere = "HTTP/1.1 200 OK\r\nLOCATION: http://127.0.0.1:1/\r\n\r\n";
            search.send_to(elsewhere.as_bytes(), from).await.unwrap();
            let here = format!("HTTP/1.1 200 OK\r\nLOCATION: http://{gateway}:{port}/d.xml\r\n\r\n");
            search.send_to(here.as_bytes(), from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = web.accept().await {
            let mut request = String::new();
            let mut bytes = [0; 4096];
            // All that these requests say comes before the answer; their ends are known by sight.
            let whole = |request: &str| {
                let end = if request.starts_with("GET ") { "\r\n\r\n" } else { "</s:Envelope>\r\n" };
                request.ends_with(end)
            };
            while !whole(&request) {
                let length = stream.read(&mut bytes).await.unwrap();
                request += str::from_utf8(&bytes[..length]).unwrap();
            }
            let action = request
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("soapaction: ").map(|_| line));
            let (status, body) = match action.and_then(|line| line.split(['#', '"']).nth_back(1)) {
                None => (200, DESCRIPTION.to_owned()),
                Some(action) => {
                    let port = request.split("<NewExternalPort>").nth(1);
                    let port = port.and_then(|rest| rest.split('<').next()).unwrap_or("-");
                    let _ = tell.send(format!("{action} {port}"));
                    answer(action, &request)
                }
            };
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    Played { gateway, asked, links: watch::channel(links(Some(gateway))).0 }
}

const DESCRIPTION: &str = "<root><device><serviceList><service>\
    <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
    <controlURL>/ctl</controlURL></service></serviceList></device></root>";

fn fault(code: u16) -> (u16, String) {
    (500, format!("<Fault><detail><UPnPError><errorCode>{code}</errorCode></UPnPError></detail></Fault>"))
}

#[tokio::test]
async fn a_router_of_upnp_is_asked_for_another_port_and_without_an_end_if_it_wants_that() {
    let mut router = by_upnp(7, |action, body| match action {
        "GetExternalIPAddress" => {
            (200, format!("<R><NewExternalIPAddress>{PUBLIC}</NewExternalIPAddress></R>"))
        }
        "AddPortMapping" if body.contains("<NewExternalPort>4433<") => fault(upnp::CONFLICT),
        "AddPortMapping" if !body.contains("<NewLeaseDuration>0<") => fault(upnp::ONLY_PERMANENT),
        _ => (200, "<R/>".to_owned()),
    })
    .await;
    let mapping = router.mapping();
    let State::Mapped(external, Means::Upnp) = settled(&mapping).await else { panic!("not mapped") };
    assert_eq!(*external.ip(), PUBLIC);
    assert_ne!(external.port(), PORT);
    mapping.release().await;
    let port = external.port();
    for words in [
        "GetExternalIPAddress -".to_owned(),
        format!("AddPortMapping {PORT}"),
        format!("AddPortMapping {port}"),
        format!("AddPortMapping {port}"),
        format!("DeletePortMapping {port}"),
    ] {
        assert_eq!(router.asked().await, words);
    }
}

#[tokio::test]
async fn a_router_that_refuses_is_quoted() {
    let router = by_upnp(8, |action, _| match action {
        "GetExternalIPAddress" => {
            (200, format!("<R><NewExternalIPAddress>{PUBLIC}</NewExternalIPAddress></R>"))
        }
        _ => fault(606),
    })
    .await;
    let State::None(reason) = settled(&router.mapping()).await else { panic!("mapped") };
    assert_eq!(reason, "the router refuses: UPnP: refused with code 606");
}

#[test]
fn only_what_anybody_can_reach_is_public() {
    for ip in ["203.0.113.5", "8.8.8.8", "100.128.0.1", "172.32.0.1"] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "0.0.0.0",
        "224.0.0.1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
}
