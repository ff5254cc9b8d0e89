//! How a node gets a line to its manager.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use coconet::manager_addr::{Host, ManagerAddr};
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::proxy::{Proxies, Proxy, ProxyError};
use super::{CONNECT_TIMEOUT, Line, identity, tune};
use crate::endpoint::{DIAL_MAX, Endpoint};
use crate::names;

/// Head start of an address before the next one is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// The manager's name gave no address.
    #[error("no address to connect to")]
    NoAddress,
    /// No TCP connection.
    #[error("cannot connect to TCP port {port} of {host}")]
    Connect {
        /// Whom to.
        host: String,
        /// Which port.
        port: u16,
        /// The last address's reason.
        #[source]
        error: io::Error,
    },
    /// The proxy's setting or answer.
    #[error("the proxy {proxy} is of no use")]
    Proxy {
        /// Host and port.
        proxy: String,
        /// Its reason.
        #[source]
        error: ProxyError,
    },
    /// No proxy can be made out of what is set.
    #[error(transparent)]
    Setting(ProxyError),
    /// TLS with somebody else.
    #[error("whoever answers on TCP port {0} has not the manager's key: something in between ends TLS")]
    WrongKey(u16),
    /// No TLS.
    #[error("no TLS on TCP port {port}")]
    Tls {
        /// Which port.
        port: u16,
        /// What TLS says.
        #[source]
        error: io::Error,
    },
    /// Somebody does not answer.
    #[error("{0} takes too long")]
    TimedOut(&'static str),
}

/// Reach `manager` by TCP, at one of `addresses` (of which the port does not matter), or through the proxy
/// that `proxies` has for it, and carry datagrams of `endpoint` for as long as the line lives. Through a proxy
/// the addresses are not used, and may be none: the proxy resolves the name.
pub async fn connect(
    endpoint: &Endpoint,
    manager: &ManagerAddr,
    addresses: &[SocketAddr],
    proxies: &Proxies,
) -> Result<Line, CarrierError> {
    let port = manager.tls_port();
    let tcp = match proxies.towards(&manager.host).map_err(CarrierError::Setting)? {
        Some(proxy) => through(proxy, &manager.host, port).await?,
        None => {
            let addresses = addresses.iter().map(|address| SocketAddr::new(address.ip(), port));
            any(addresses.collect(), manager.host.as_str(), port).await?
        }
    };
    let peer = tcp.peer_addr().map_err(|error| CarrierError::Tls { port, error })?;
    let tls = secure(tcp, manager).await?;
    tracing::debug!(%peer, "a carrier is there");
    Ok(Line::begin(tls, peer, endpoint.carrier(peer)))
}

/// TLS with the manager and nobody else.
async fn secure(tcp: TcpStream, manager: &ManagerAddr) -> Result<TlsStream<TcpStream>, CarrierError> {
    let port = manager.tls_port();
    let failed = |error| CarrierError::Tls { port, error };
    tune(&tcp);
    let config = identity::client_config(manager.stamp).map_err(|error| failed(io::Error::other(error)))?;
    let connector = TlsConnector::from(Arc::new(config));
    match timeout(CONNECT_TIMEOUT, connector.connect(name(&manager.host), tcp)).await {
        Ok(Ok(tls)) => Ok(tls),
        Ok(Err(error)) if is_wrong_key(&error) => Err(CarrierError::WrongKey(port)),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(CarrierError::TimedOut("the TLS handshake")),
    }
}

/// What is named in the clear as the server: the host, if it has a name.
fn name(host: &Host) -> ServerName<'static> {
    let unnamed = || ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    ServerName::try_from(host.as_str().to_owned()).unwrap_or_else(|_| unnamed())
}

fn is_wrong_key(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let refused = rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
    tls.is_some_and(|tls| *tls == refused)
}

/// Ask `proxy` for a connection to a port of `host`.
async fn through(proxy: &Proxy, host: &Host, port: u16) -> Result<TcpStream, CarrierError> {
    let unusable = |error| CarrierError::Proxy { proxy: proxy.to_string(), error };
    let broken =
        |error| CarrierError::Connect { host: proxy.host.as_str().to_owned(), port: proxy.port, error };
    let resolved = timeout(CONNECT_TIMEOUT, names::look_up(proxy.host.as_str(), proxy.port));
    let addresses = match resolved.await {
        Ok(resolved) => resolved.map_err(broken)?,
        Err(_) => return Err(CarrierError::TimedOut("resolving the proxy's name")),
    };
    let mut tcp = any(addresses, proxy.host.as_str(), proxy.port).await?;
    let asking = async {
        tcp.write_all(proxy.request(host, port).as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        while !proxy.answered(&answer).map_err(unusable)? {
            // Bounded by what `answered` takes for an answer.
            let read = tcp.read_buf(&mut answer).await.map_err(broken)?;
            if read == 0 {
                return Err(unusable(ProxyError::Protocol));
            }
        }
        Ok(())
    };
    match timeout(CONNECT_TIMEOUT, asking).await {
        Ok(Ok(())) => Ok(tcp),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(CarrierError::TimedOut("the answer of the proxy")),
    }
}

/// Connect to whichever address answers first, each a little after the one before it.
async fn any(addresses: Vec<SocketAddr>, host: &str, port: u16) -> Result<TcpStream, CarrierError> {
    let mut waiting = addresses.into_iter().take(DIAL_MAX);
    let mut trying = JoinSet::new();
    let mut failure = None;
    loop {
        let next = waiting.next();
        let more = next.is_some();
        if let Some(address) = next {
            trying.spawn(async move {
                let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
                connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            });
        }
        tokio::select! {
            Some(tried) = trying.join_next() => match tried {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => failure = Some(error),
                Err(panicked) => failure = Some(io::Error::other(panicked)),
            },
            () = sleep(STAGGER), if more => {}
            else => {
                let error = failure.ok_or(CarrierError::NoAddress)?;
                return Err(CarrierError::Connect { host: host.to_owned(), port, error });
            }
        }
    }
}
