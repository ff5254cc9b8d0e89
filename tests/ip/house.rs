//! A boat that takes packets, and a desk that sends some.

use std::net::Ipv6Addr;
use std::sync::Arc;

use coco_lab::{Host, Site};
use coconet::control::Members;
use coconet::control::facts::IpFacts;
use nix::sys::signal::Signal;

use crate::support::net::{App, HOME};
use crate::support::process::{Ran, run};
use crate::support::programs::{clean, theirs};
use crate::support::wait::{PATIENCE, is, until};
use crate::world::World;

/// What a daemon is told that has an interface.
const CONFIG: &str = "[ip]\nhost = true\n";

/// The resource.
pub(crate) const BOAT_IP: &str = "boat-ip";

/// Two hosts, each with a daemon and an interface.
pub(crate) struct House {
    pub(crate) boat: App,
    pub(crate) desk: App,
    pub(crate) world: World,
}

impl House {
    /// The desk is another app of the owner's, the boat offers its address.
    pub(crate) fn new() -> Self {
        Self::with(&["--self"], Site::open())
    }

    /// The desk has joined as that says.
    pub(crate) fn with(desk: &[&str], site: Site) -> Self {
        let world = World::new();
        let site = world.internet.site(site);
        let host = |name| Arc::new(site.host(name));
        let [boat, desk_] = [host("boat"), host("desk")];
        let mut boat = App::configured(&world.lab, "boat", &boat, CONFIG);
        boat.create(HOME, &world.address);
        boat.expose("ip:", BOAT_IP);
        let mut viewer = App::configured(&world.lab, "desk", &desk_, CONFIG);
        viewer.join(&boat.invite(HOME, desk));
        for app in [&mut boat, &mut viewer] {
            // The interface has an address only of what the daemon is when it starts.
            assert_eq!(app.network(HOME).ip.and_then(|ip| ip.interface), None);
            app.stop(Signal::SIGTERM);
            app.start();
            app.wait_online();
        }
        Self { boat, desk: viewer, world }
    }
}

/// The own address of an app's node.
pub(crate) fn address(app: &App) -> Ipv6Addr {
    facts(app).address
}

/// What an app says of its packets.
pub(crate) fn facts(app: &App) -> IpFacts {
    app.network(HOME).ip.unwrap()
}

/// Run a program on the host of `app`.
pub(crate) fn on(host: &Host, program: &str, words: &[&str]) -> Ran {
    let mut command = clean(host.command(theirs(program).to_str().unwrap()));
    command.args(words);
    run(&mut command, b"", PATIENCE)
}

/// Ping so often from one app to an address; how many answers came.
pub(crate) fn pinged(from: &App, to: Ipv6Addr, size: &str, count: &str) -> (u32, String) {
    let (to, wait) = (to.to_string(), ["-i", "0.2", "-W", "2"]);
    let ran = on(from.host(), "ping", &[&["-6", "-n", "-s", size, "-c", count], &wait[..], &[&to]].concat());
    let received = ran.stdout.lines().find_map(|line| {
        let (before, _) = line.split_once(" received")?;
        before.rsplit(' ').next()?.parse().ok()
    });
    (received.unwrap_or_default(), format!("{}{}", ran.stdout, ran.stderr))
}

/// Ping until an answer comes.
pub(crate) fn reaches(from: &App, to: Ipv6Addr) {
    until(&format!("{} reaches {to}", from.name), PATIENCE, || {
        let (received, told) = pinged(from, to, "8", "1");
        is(received == 1, told)
    });
}

/// The addresses that the members' list has, by the names of the nodes.
pub(crate) fn listed(app: &App) -> Vec<(String, Option<Ipv6Addr>)> {
    let Members { users, .. } = app.json(&["network", "members", HOME]);
    let nodes = users.into_iter().flat_map(|user| user.nodes);
    nodes.map(|node| (node.name.to_string(), node.address)).collect()
}
