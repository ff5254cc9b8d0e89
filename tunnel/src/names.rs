//! Host names, to addresses.
//!
//! The system's resolver reads files all over the machine and loads libraries. A daemon that has given up both
//! lets a process of its own ask instead, which it names once, at the start, by [`ask_by`].

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::OnceLock;

/// What comes of asking.
pub type Asked = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Who is asked for the addresses of a host.
type Resolver = Box<dyn Fn(String, u16) -> Asked + Send + Sync>;

/// One for the process, as the sandbox that makes it necessary is.
static RESOLVER: OnceLock<Resolver> = OnceLock::new();

/// Ask `resolver` from now on. The first one stays.
pub fn ask_by(resolver: impl Fn(String, u16) -> Asked + Send + Sync + 'static) {
    // A second one would be asked by nobody.
    let _ = RESOLVER.set(Box::new(resolver));
}

/// The addresses of `host`, with `port`; at once, when it is an address.
pub async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match RESOLVER.get() {
        Some(resolver) => resolver(host.to_owned(), port).await,
        None => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
    }
}
