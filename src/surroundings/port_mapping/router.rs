//! Asking the router: sockets, times and tries around [`pcp`], [`nat_pmp`] and [`upnp`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use super::{nat_pmp, pcp, upnp};
use crate::random;

/// How long a mapping is asked for: the RFCs' recommendation.
pub const LIFETIME: Duration = Duration::from_secs(7200);

/// Waits for a router's answer by UDP, with the question repeated before each: the first ones of RFC 6886.
const WAITS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];

/// Longest wait for answers to a search.
const SEARCH_WAIT: Duration = Duration::from_millis(1500);

/// Longest request by HTTP, from the connection to the last byte.
const HTTP_WAIT: Duration = Duration::from_secs(3);

/// External ports that are tried by UPnP where others have the first ones.
const PORTS_TRIED: usize = 4;

/// How a mapping was had, and what it takes to give it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// An Internet Gateway Device.
    Upnp(upnp::Service),
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Where packets to this node's port arrive at the router.
    pub external: SocketAddrV4,
    /// For so long from when it was asked for.
    pub lifetime: Duration,
    /// By what.
    pub protocol: Protocol,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMapping {
    /// The router speaks none of the protocols, or does not want to.
    #[error("the router answers neither PCP, NAT-PMP nor UPnP")]
    Silent,
    /// It speaks one, and says no.
    #[error("the router refuses: {0}")]
    Refused(String),
    /// No question could be sent.
    #[error("the router cannot be asked: {0}")]
    Io(String),
}

impl From<io::Error> for NoMapping {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// A router, and the port that it shall let packets through to.
#[derive(Debug, Clone, Copy)]
pub struct Router {
    /// Its address.
    pub gateway: Ipv4Addr,
    /// This machine's port.
    pub port: u16,
    /// Makes the mapping ours.
    pub nonce: [u8; pcp::NONCE],
}

impl Router {
    /// Ask for a mapping, best to `external`, by one protocol after the other.
    pub async fn map(&self, external: Option<SocketAddrV4>) -> Result<Lease, NoMapping> {
        let wish = external.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, self.port));
        let refused = match self.map_by_pcp(wish, LIFETIME).await {
            Ok(lease) => return Ok(lease),
            Err(refused) => refused,
        };
        let refused = match self.map_by_nat_pmp(wish, &refused).await {
            Ok(lease) => return Ok(lease),
            Err(NoMapping::Silent) => refused,
            Err(refused) => refused,
        };
        match self.map_by_upnp(wish.port()).await {
            Ok(lease) => Ok(lease),
            // Who said no says more than who said nothing.
            Err(NoMapping::Silent) => Err(refused),
            Err(error) => Err(error),
        }
    }

    /// Give a mapping back.
    pub async fn release(&self, lease: &Lease) {
        let released = match &lease.protocol {
            Protocol::Pcp => self.map_by_pcp(lease.external, Duration::ZERO).await.map(|_| ()),
            Protocol::NatPmp => {
                let question = nat_pmp::ask_mapping(self.port, 0, Duration::ZERO);
                self.ask(&question, |_| Some(())).await
            }
            Protocol::Upnp(service) => {
                let arguments = upnp::remove(lease.external.port());
                self.command(service, "DeletePortMapping", &arguments).await.map(|_| ())
            }
        };
        if let Err(error) = released {
            tracing::debug!(%error, "port mapping not given back; it ends by itself");
        }
    }

    async fn map_by_pcp(&self, external: SocketAddrV4, lifetime: Duration) -> Result<Lease, NoMapping> {
        let client = self.client().await?;
        let wanted = pcp::Wanted { client, internal: self.port, external, lifetime, nonce: self.nonce };
        let question = pcp::ask(&wanted);
        let answered = self.ask(&question, |answer| match pcp::mapped(answer, &wanted) {
            Err(pcp::Refused::Stray) => None,
            other => Some(other),
        });
        match answered.await? {
            Ok(pcp::Mapped { external, lifetime }) => {
                Ok(Lease { external, lifetime, protocol: Protocol::Pcp })
            }
            Err(pcp::Refused::Version | pcp::Refused::Stray) => Err(NoMapping::Silent),
            Err(error @ pcp::Refused::Code(_)) => Err(NoMapping::Refused(format!("PCP: {error}"))),
        }
    }

    async fn map_by_nat_pmp(&self, wish: SocketAddrV4, before: &NoMapping) -> Result<Lease, NoMapping> {
        // The same port: whoever has closed it, or refused by the newer protocol, will not do better.
        if !matches!(before, NoMapping::Silent) {
            return Err(NoMapping::Silent);
        }
        let read = |answer: &[u8]| match nat_pmp::mapped(answer, self.port) {
            Err(nat_pmp::Refused::Stray) => None,
            other => Some(other),
        };
        let refused = |error: nat_pmp::Refused| NoMapping::Refused(format!("NAT-PMP: {error}"));
        let question = nat_pmp::ask_mapping(self.port, wish.port(), LIFETIME);
        let mapped = self.ask(&question, read).await?.map_err(refused)?;
        let ip = self.ask(&nat_pmp::ASK_ADDRESS, |answer| match nat_pmp::address(answer) {
            Err(nat_pmp::Refused::Stray) => None,
            other => Some(other),
        });
        let external = SocketAddrV4::new(ip.await?.map_err(refused)?, mapped.port);
        Ok(Lease { external, lifetime: mapped.lifetime, protocol: Protocol::NatPmp })
    }

    async fn map_by_upnp(&self, wish: u16) -> Result<Lease, NoMapping> {
        let at = self.search().await?;
        let description = self.http(&at, None).await?;
        let service = upnp::service(&description, &at, self.gateway).ok_or(NoMapping::Silent)?;
        let answer = self.command(&service, "GetExternalIPAddress", &[]).await?;
        let ip = upnp::external_address(&answer)
            .ok_or_else(|| NoMapping::Refused("UPnP: no external address".to_owned()))?;
        let client = SocketAddrV4::new(self.client().await?, self.port);
        let (mut port, mut lifetime) = (wish, LIFETIME);
        let mut code = None;
        for _ in 0..PORTS_TRIED {
            let added = self.command(&service, "AddPortMapping", &upnp::add(client, port, lifetime)).await?;
            code = upnp::error_code(&added);
            match code {
                None => {
                    let external = SocketAddrV4::new(ip, port);
                    return Ok(Lease { external, lifetime: LIFETIME, protocol: Protocol::Upnp(service) });
                }
                Some(upnp::ONLY_PERMANENT) => lifetime = Duration::ZERO,
                Some(upnp::CONFLICT) => port = another_port(),
                Some(_) => break,
            }
        }
        Err(NoMapping::Refused(format!("UPnP: refused with code {}", code.unwrap_or_default())))
    }

    /// Ask by UDP until `read` makes something of an answer.
    async fn ask<T>(&self, question: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<T, NoMapping> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        // From nobody else will anything be taken.
        socket.connect((self.gateway, nat_pmp::PORT)).await?;
        for wait in WAITS {
            let until = Instant::now() + wait;
            match socket.send(question).await {
                // Nobody listens there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(NoMapping::Silent);
                }
                sent => sent?,
            };
            let mut answer = [0; pcp::ANSWER_MAX];
            while let Ok(received) = timeout_at(until, socket.recv(&mut answer)).await {
                match received {
                    Ok(length) => match read(&answer[..length]) {
                        Some(found) => return Ok(found),
                        None => continue,
                    },
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        return Err(NoMapping::Silent);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(NoMapping::Silent)
    }

    /// This machine as the router sees it.
    async fn client(&self) -> io::Result<Ipv4Addr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect((self.gateway, nat_pmp::PORT)).await?;
        match socket.local_addr()? {
            SocketAddr::V4(address) => Ok(*address.ip()),
            SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Ask all neighbours, and the router by itself, for the router's description.
    async fn search(&self) -> Result<upnp::At, NoMapping> {
        let socket = UdpSocket::bind((self.client().await?, 0)).await?;
        let search = upnp::search();
        for to in [SocketAddrV4::new(self.gateway, upnp::SEARCH.port()), upnp::SEARCH] {
            // One of the two may do.
            if let Err(error) = socket.send_to(search.as_bytes(), to).await {
                tracing::trace!(%error, %to, "no search");
            }
        }
        let until = Instant::now() + SEARCH_WAIT;
        let mut answer = [0; 2048];
        while let Ok(received) = timeout_at(until, socket.recv_from(&mut answer)).await {
            let Ok((length, from)) = received else { continue };
            if from.ip() == self.gateway
                && let Some(at) = upnp::description_at(&answer[..length], self.gateway)
            {
                return Ok(at);
            }
        }
        Err(NoMapping::Silent)
    }

    async fn command(
        &self,
        service: &upnp::Service,
        action: &str,
        arguments: &[(&str, String)],
    ) -> Result<String, NoMapping> {
        self.http(&service.at, Some(upnp::request(service, action, arguments))).await
    }

    /// `GET`, or `POST` with a body and its action. Also what comes with an error is an answer.
    async fn http(&self, at: &upnp::At, post: Option<(String, String)>) -> Result<String, NoMapping> {
        let asked = async {
            let host = SocketAddrV4::new(self.gateway, at.port);
            let stream = TcpStream::connect(host).await?;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            let request = Request::builder().uri(&at.path).header(header::HOST, host.to_string());
            let request = match post {
                None => request.method("GET").body(Full::default()),
                Some((body, action)) => request
                    .method("POST")
                    .header(header::CONTENT_TYPE, "text/xml; charset=\"utf-8\"")
                    .header("SOAPAction", action)
                    .body(Full::new(Bytes::from(body))),
            };
            let request = request.map_err(io::Error::other)?;
            let answer = async {
                let response = sender.send_request(request).await.map_err(io::Error::other)?;
                let body = Limited::new(response.into_body(), upnp::TEXT_MAX).collect().await;
                Ok::<Bytes, io::Error>(body.map_err(io::Error::other)?.to_bytes())
            };
            tokio::pin!(answer, connection);
            tokio::select! {
                answer = &mut answer => answer,
                // Over, and what has arrived is all there is.
                ended = &mut connection => {
                    ended.map_err(io::Error::other)?;
                    answer.await
                }
            }
        };
        let body: Bytes = timeout(HTTP_WAIT, asked).await.map_err(|_| NoMapping::Silent)??;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// A port that nobody needs privileges for.
fn another_port() -> u16 {
    let random = random::bytes().map_or(0, u16::from_be_bytes);
    1024 + random % (u16::MAX - 1024)
}
