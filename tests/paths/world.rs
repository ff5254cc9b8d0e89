//! A manager on the internet, and daemons wherever a test puts them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coco_lab::{Host, SiteHandle};
use coconet::control::Peer;

use crate::support::net::{App, HOME, Lab};
use crate::support::process::{Process, run_well};
use crate::support::programs::{clean, command, ours};
use crate::support::wait::{PATIENCE, is, until};

/// What the manager is called; the name has addresses of both families.
pub(crate) const MANAGER: &str = "manager.example";

/// The manager's UDP port.
const MANAGER_PORT: u16 = 4433;

/// What a fresh configuration says of TLS, and what it says here, so that nodes without UDP are served too.
const TLS: [&str; 2] = [r#"#listen = ["0.0.0.0:443"]"#, r#"listen = ["0.0.0.0:443", "[::]:443"]"#];

/// Longest wait of the test's own sockets.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(60);

/// The internet, with a manager in it.
pub(crate) struct World {
    pub(crate) lab: Rc<Lab>,
    pub(crate) internet: coco_lab::Lab,
    /// Where the manager is.
    pub(crate) hub: Host,
    /// The manager's address, as people get it.
    pub(crate) address: String,
    manager: Option<Process>,
}

impl World {
    /// A manager with the default configuration, and TLS.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// A manager whose configuration ends with `config`.
    pub(crate) fn with(config: &str) -> Self {
        let (lab, internet) = (Lab::apart(), coco_lab::Lab::new());
        let hub = internet.public_host("manager");
        internet.name(MANAGER, &hub);
        let mut init = command(ours("coco-manager"));
        init.arg("init").arg("--state").arg(lab.path("manager"));
        init.args([
            "--listen",
            &format!("0.0.0.0:{MANAGER_PORT}"),
            "--listen",
            &format!("[::]:{MANAGER_PORT}"),
        ]);
        let public = format!("{MANAGER}:{MANAGER_PORT}");
        let address = run_well(init.args(["--public", &public])).trim().to_owned();
        let file = lab.path("manager").join("manager.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let [without, with] = TLS;
        assert!(text.contains(without), "{text}");
        std::fs::write(&file, format!("{}\n{config}\n", text.replace(without, with))).unwrap();
        let mut world = Self { lab, internet, hub, address, manager: None };
        world.start_manager();
        world
    }

    /// Start the manager, and wait until it listens.
    pub(crate) fn start_manager(&mut self) {
        let mut command = clean(self.hub.command(ours("coco-manager").to_str().unwrap()));
        command.arg("run").arg("--state").arg(self.lab.path("manager")).env("COCO_LOG", "debug");
        let mut manager = self.lab.start("manager", &command);
        until("the manager listens", PATIENCE, || {
            manager.assert_runs();
            let taken = self.hub.enter(|| std::net::UdpSocket::bind(("0.0.0.0", MANAGER_PORT)).is_err());
            is(taken, "its port is free")
        });
        self.manager = Some(manager);
    }

    /// End the manager, without warning.
    #[allow(dead_code, reason = "for tests of roads")]
    pub(crate) fn kill_manager(&mut self) {
        self.manager = None;
    }

    /// The manager's process.
    #[allow(dead_code, reason = "for tests of roads")]
    pub(crate) fn manager(&self) -> &Process {
        self.manager.as_ref().unwrap()
    }

    /// The daemon of an app on `host`.
    pub(crate) fn app(&self, host: &Arc<Host>) -> App {
        App::on(&self.lab, host.name(), host)
    }

    /// The daemon of an app on `host`, a host of `site`, which is told of the proxy there if there is one.
    pub(crate) fn app_at(&self, site: &SiteHandle, host: Host) -> App {
        let proxy = site.proxy().map(|proxy| ("https_proxy".to_owned(), format!("http://{proxy}")));
        let host = Arc::new(host);
        App::on_with(&self.lab, host.name(), &host, proxy.into_iter().collect())
    }

    /// Daemons on two hosts, in one network; the first is the owner's.
    pub(crate) fn pair(&self, one: Host, two: Host) -> (App, App) {
        let (one, two) = (self.app(&Arc::new(one)), self.app(&Arc::new(two)));
        one.create(HOME, &self.address);
        two.join(&one.invite(HOME, &["--self"]));
        (one, two)
    }
}

/// Offer an echo server of the host of `app` as `name`.
pub(crate) fn offer_echo(app: &App, name: &str) {
    let listener = app.host().enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || echo(stream));
        }
    });
    app.expose(&url, name);
}

fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    // Whoever breaks off looks at what it has got.
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..len]).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// Connect to a local address of the host of `app`.
pub(crate) fn connect(app: &App, address: SocketAddr) -> TcpStream {
    let stream = app.host().enter(|| TcpStream::connect(address).unwrap());
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(SOCKET_TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(SOCKET_TIMEOUT)).unwrap();
    stream
}

/// How long one byte takes there and back.
pub(crate) fn round_trip(stream: &mut TcpStream) -> Duration {
    let started = Instant::now();
    stream.write_all(b"?").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    started.elapsed()
}

/// What `app` says of its one peer.
pub(crate) fn peer(app: &App) -> Peer {
    let mut peers = app.network(HOME).peers;
    assert_eq!(peers.len(), 1, "{peers:?}");
    peers.remove(0)
}

/// The way packets of `app` to the node `name` take: `direct`, `relay` or `none`.
pub(crate) fn way_to(app: &App, name: &str) -> String {
    let path = app.network(HOME).peers.into_iter().find(|peer| peer.name.as_str() == name);
    let path = path.and_then(|peer| peer.path).unwrap_or_else(|| "none".to_owned());
    path.split(' ').next().unwrap().to_owned()
}

/// The way packets of `app` to its one peer take: `direct` or `relay`.
pub(crate) fn way(app: &App) -> String {
    let path = peer(app).path.unwrap_or_else(|| "none".to_owned());
    path.split(' ').next().unwrap().to_owned()
}
