//! An HTTP CONNECT proxy as companies have it: TCP to port 443 and nothing else, no accounts.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::internet::Names;
use crate::namespace::Namespace;

/// Where the proxy of [`Site::proxy_only`](crate::Site::proxy_only) listens, on the gateway's inner address.
pub const PROXY_PORT: u16 = 3128;

/// What it connects to.
const ALLOWED_PORT: u16 = 443;

/// The most it reads of a request.
const MAX_REQUEST: u64 = 8192;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A running proxy; takes no new connections once dropped.
pub(crate) struct Proxy {
    _stop: PipeWriter,
}

impl Proxy {
    pub(crate) fn start(namespace: &Namespace, address: SocketAddr, names: &Arc<Names>) -> Self {
        let names = Arc::clone(names);
        let (stopped, stop) = io::pipe().expect("making a pipe");
        namespace.enter(|| {
            let listener = TcpListener::bind(address).expect("binding the proxy");
            // Threads stay in the namespace of the thread that makes them.
            thread::spawn(move || accept(&listener, &stopped, &names));
        });
        Self { _stop: stop }
    }
}

fn accept(listener: &TcpListener, stopped: &PipeReader, names: &Arc<Names>) {
    loop {
        let mut ready = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        let _ = poll(&mut ready, PollTimeout::NONE);
        if ready[1].any() == Some(true) {
            return;
        }
        if let Ok((client, _)) = listener.accept() {
            // A client that breaks off is its own affair.
            let names = Arc::clone(names);
            thread::spawn(move || serve(client, &names));
        }
    }
}

fn serve(mut client: TcpStream, names: &Names) -> io::Result<()> {
    // Byte for byte what follows the request belongs to the tunnel, so what is read too much is passed on.
    let mut reader = BufReader::new(client.try_clone()?);
    let targets = match request(&mut reader, names)? {
        Ok(targets) => targets,
        Err(refusal) => return client.write_all(format!("HTTP/1.1 {refusal}\r\n\r\n").as_bytes()),
    };
    let connected = targets.iter().find_map(|to| TcpStream::connect_timeout(to, CONNECT_TIMEOUT).ok());
    let Some(mut server) = connected else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut down, mut up) = (server.try_clone()?, client);
    let back = thread::spawn(move || pump(&mut down, &mut up));
    server.write_all(reader.buffer())?;
    pump(reader.get_mut(), &mut server)?;
    back.join().unwrap_or(Ok(()))
}

fn pump(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    io::copy(from, to)?;
    to.shutdown(Shutdown::Write)
}

/// The addresses of the target, or the status to refuse with.
fn request(reader: &mut impl BufRead, names: &Names) -> io::Result<Result<Vec<SocketAddr>, &'static str>> {
    let mut lines = reader.take(MAX_REQUEST).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = first.split(' ');
    Ok(match (words.next(), words.next().and_then(|target| resolve(target, names))) {
        (Some("CONNECT"), Some((_, port))) if port != ALLOWED_PORT => Err("403 Forbidden"),
        (Some("CONNECT"), Some((addresses, _))) => Ok(addresses),
        (Some("CONNECT"), None) => Err("400 Bad Request"),
        (Some(_) | None, _) => Err("405 Method Not Allowed"),
    })
}

/// `HOST:PORT`, where the host is an address or a name of the lab.
fn resolve(target: &str, names: &Names) -> Option<(Vec<SocketAddr>, u16)> {
    if let Ok(address) = target.parse::<SocketAddr>() {
        return Some((vec![address], address.port()));
    }
    let (name, port) = target.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let addresses = names.of(name).into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    Some((addresses, port))
}
