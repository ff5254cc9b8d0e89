//! What the operator of the manager does: change its configuration, read its figures.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use coconet::manager_addr::ManagerAddr;

use crate::world::World;

/// Where the manager serves its figures.
const METRICS: &str = "127.0.0.1:9469";

/// The manager's keys and port.
pub(crate) fn manager(world: &World) -> ManagerAddr {
    world.address.parse().unwrap()
}

/// Where the manager is reached by UDP.
pub(crate) fn manager_address(world: &World) -> SocketAddr {
    (world.hub.v4(), manager(world).port).into()
}

/// Start the manager anew with `with` instead of `without` in its configuration.
pub(crate) fn reconfigure(world: &mut World, without: &str, with: &str) {
    world.kill_manager();
    let file = world.lab.path("manager").join("manager.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(without), "no {without:?} in {text}");
    std::fs::write(&file, text.replace(without, with)).unwrap();
    world.start_manager();
}

/// Let the manager serve its figures.
pub(crate) fn serve_figures(world: &mut World) {
    let line = format!("listen = \"{METRICS}\"");
    reconfigure(world, &format!("#{line}"), &line);
}

/// One of the manager's figures, by its name without the program's.
pub(crate) fn figure(world: &World, name: &str) -> u64 {
    let page = world.hub.enter(|| {
        let mut stream = TcpStream::connect(METRICS).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: manager\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    });
    let lines = page.lines().filter_map(|line| line.strip_prefix("coco_manager_")?.rsplit_once(' '));
    let value = lines.into_iter().find_map(|(found, value)| (found == name).then(|| value.parse().unwrap()));
    value.unwrap_or_else(|| panic!("no {name} in {page}"))
}
