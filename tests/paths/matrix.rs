//! Every kind of place against every other: the expected way, and how soon it is found.
//!
//! One network has a camera and a viewer at each kind of place, and two nodes under each kind of roof. Each
//! viewer opens a tunnel to each camera, one after another, so that times are those of a machine with
//! little else to do. What is not direct soon is watched on while the others go on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use coco_lab::SiteHandle;
use coconet::control::Tunnel;

use crate::oracle::{Expected, KINDS, ROOFS, Roof};
use crate::support::net::{App, HOME};
use crate::support::wait::{PATIENCE, is, until};
use crate::table;
use crate::world::{World, offer_echo, way_to};

/// Longest until the first byte. Links of the lab take less than a millisecond, so nearly all of it is for a
/// machine that has other things to do; `round_trips` counts round trips.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(2);

/// Longest until packets go directly, where they must.
pub(crate) const DIRECT_MAX: Duration = Duration::from_secs(5);

/// How long a cell is watched closely.
const GLANCE: Duration = Duration::from_millis(300);

/// Time between two looks while it is.
const LOOK: Duration = Duration::from_millis(5);

/// Where the table is to be written; nowhere when absent.
const FILE: &str = "COCO_NAT_MATRIX";

/// What two nodes have found.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) viewer: &'static str,
    pub(crate) camera: &'static str,
    pub(crate) expected: Expected,
    began: Instant,
    /// From the command to open a tunnel until it had opened it, or what went wrong.
    pub(crate) opened: Result<Duration, String>,
    /// From that command until the first byte has come back.
    pub(crate) first_byte: Option<Duration>,
    /// `direct` or `relay`, when the first byte had just come.
    pub(crate) first_way: String,
    /// From that command until packets went directly.
    pub(crate) direct: Option<Duration>,
}

impl Cell {
    /// The way packets took in the end.
    pub(crate) fn way(&self) -> &str {
        match (&self.opened, self.first_byte, self.direct) {
            (Err(_), ..) | (_, None, _) => "none",
            (.., Some(_)) => "direct",
            (.., None) => &self.first_way,
        }
    }

    /// What is wrong.
    pub(crate) fn fault(&self) -> Option<String> {
        let late = |what: &str, time: Duration| Some(format!("{what} after {} ms", time.as_millis()));
        match (&self.opened, self.first_byte, self.direct, self.expected) {
            (Err(error), ..) => Some(error.clone()),
            (_, None, ..) => Some("the first byte does not come back".to_owned()),
            (_, Some(time), ..) if time > FIRST_BYTE_MAX => late("first byte", time),
            (.., Some(time), Expected::Direct) if time > DIRECT_MAX => late("direct", time),
            (.., None, Expected::Direct) => Some("not direct".to_owned()),
            _ if !matches!(self.way(), "direct" | "relay") => Some(format!("the way is {}", self.way())),
            _ => None,
        }
    }
}

/// A node, or why it could not join.
struct Member {
    app: App,
    joined: Result<(), String>,
    _site: Option<SiteHandle>,
}

#[test]
fn every_pair_of_places_finds_the_way_it_must() {
    let began = Instant::now();
    let world = World::new();
    let mut invites = Invites { world: &world, owner: None };
    let [cameras, viewers] = ["camera", "viewer"].map(|role| -> Vec<Member> {
        let join = |kind: &crate::oracle::Kind| {
            let site = world.internet.site(kind.site());
            let member = invites.member(&site, &format!("{role}-{}", kind.name));
            Member { _site: Some(site), ..member }
        };
        KINDS.iter().map(join).collect()
    });
    let roofs: Vec<[Member; 2]> = ROOFS.iter().map(|roof| under(&mut invites, roof)).collect();
    for member in cameras.iter().chain(roofs.iter().map(|[camera, _]| camera)) {
        if member.joined.is_ok() {
            offer_echo(&member.app, &resource(member));
        }
    }
    println!("{} nodes after {:?}", 2 * (KINDS.len() + ROOFS.len()), began.elapsed());

    let mut cells = Vec::new();
    for (viewer, here) in viewers.iter().zip(&KINDS) {
        for (camera, there) in cameras.iter().zip(&KINDS) {
            let cell = dial(viewer, camera, here.title, there.title, here.expected(there));
            cells.push((cell, viewer, camera));
        }
    }
    for ([camera, viewer], roof) in roofs.iter().zip(&ROOFS) {
        cells.push((dial(viewer, camera, roof.title, roof.title, roof.expected), viewer, camera));
    }
    watch(&mut cells);
    let cells: Vec<Cell> = cells.into_iter().map(|(cell, ..)| cell).collect();
    let text = table::text(&cells);
    println!("{text}\n{} cells in {:?}", cells.len(), began.elapsed());
    if let Some(file) = std::env::var_os(FILE) {
        std::fs::write(file, text).unwrap();
    }
    let faults: Vec<String> = cells
        .iter()
        .filter_map(|cell| Some(format!("{} to {}: {}", cell.viewer, cell.camera, cell.fault()?)))
        .collect();
    assert!(faults.is_empty(), "{} of {} cells:\n{}", faults.len(), cells.len(), faults.join("\n"));
}

/// Who lets others in.
struct Invites<'a> {
    world: &'a World,
    /// An invite for everybody else, once there is a network.
    owner: Option<String>,
}

impl Invites<'_> {
    fn member(&mut self, site: &SiteHandle, name: &str) -> Member {
        let app = self.world.app_at(site, site.host(name));
        let joined = match &self.owner {
            None => {
                app.create(HOME, &self.world.address);
                self.owner = Some(app.invite(HOME, &["--self", "--uses", "100"]));
                Ok(())
            }
            Some(invite) => try_join(&app, invite),
        };
        Member { app, joined, _site: None }
    }
}

fn under(invites: &mut Invites<'_>, roof: &Roof) -> [Member; 2] {
    let site = invites.world.internet.site((roof.site)());
    let mut members =
        ["camera", "viewer"].map(|role| invites.member(&site, &format!("{role}-{}", roof.name)));
    if roof.apart {
        let [camera, viewer] = members.each_ref().map(|member| member.app.host());
        camera.wire().blackhole(viewer.v4().into(), 0);
        viewer.wire().blackhole(camera.v4().into(), 0);
    }
    members[0]._site = Some(site);
    members
}

fn try_join(app: &App, invite: &str) -> Result<(), String> {
    for words in [
        &["network", "join", invite, "--node-name", &app.name][..],
        &["wait", "--online", "--timeout", "10s"][..],
    ] {
        let ran = app.ctl(words);
        if ran.code != 0 {
            return Err(format!("cannot join: {}", ran.stderr.lines().next().unwrap_or_default()));
        }
    }
    Ok(())
}

fn resource(camera: &Member) -> String {
    format!("echo-{}", camera.app.name)
}

/// Open a tunnel, and see the first byte through.
fn dial(
    viewer: &Member,
    camera: &Member,
    here: &'static str,
    there: &'static str,
    expected: Expected,
) -> Cell {
    let mut cell = Cell {
        viewer: here,
        camera: there,
        expected,
        began: Instant::now(),
        opened: Ok(Duration::ZERO),
        first_byte: None,
        first_way: String::new(),
        direct: None,
    };
    if let Err(error) = viewer.joined.as_ref().and(camera.joined.as_ref()) {
        cell.opened = Err(error.clone());
        return cell;
    }
    // The entry that publishes it may still be on its way to a viewer.
    until("the viewer knows the resource", PATIENCE, || {
        let resources = viewer.app.network(HOME).resources;
        is(resources.iter().any(|known| known.name.as_str() == resource(camera)), "it does not")
    });
    cell.began = Instant::now();
    let ran = viewer.app.ctl(&["--json", "tunnel", "open", &resource(camera)]);
    if ran.code != 0 {
        cell.opened = Err(ran.stderr.lines().next().unwrap_or_default().to_owned());
        return cell;
    }
    cell.opened = Ok(cell.began.elapsed());
    let tunnel: Tunnel = serde_json::from_str(&ran.stdout).unwrap();
    if echoes(&viewer.app, tunnel.listen.unwrap().parse().unwrap()).is_ok() {
        cell.first_byte = Some(cell.began.elapsed());
    }
    cell.first_way = way_to(&viewer.app, &camera.app.name);
    let glance = Instant::now();
    loop {
        look(&mut cell, viewer, camera);
        if cell.direct.is_some() || glance.elapsed() > GLANCE {
            return cell;
        }
        std::thread::sleep(LOOK);
    }
}

fn look(cell: &mut Cell, viewer: &Member, camera: &Member) {
    let elapsed = cell.began.elapsed();
    if way_to(&viewer.app, &camera.app.name) == "direct" {
        cell.direct = Some(elapsed);
    }
}

fn watch(cells: &mut [(Cell, &Member, &Member)]) {
    loop {
        let mut waiting = 0;
        for (cell, viewer, camera) in &mut *cells {
            if cell.first_byte.is_some() && cell.direct.is_none() && cell.began.elapsed() < DIRECT_MAX {
                look(cell, viewer, camera);
                waiting += 1;
            }
        }
        if waiting == 0 {
            return;
        }
    }
}

fn echoes(app: &App, address: SocketAddr) -> std::io::Result<()> {
    let mut stream = app.host().enter(|| TcpStream::connect(address))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(FIRST_BYTE_MAX * 2))?;
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])
}
