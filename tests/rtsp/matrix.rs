//! Every player with every camera, over every transport on either side.
//!
//! First each pair is tried without us, for a glance: that says what it supports by itself. Then each plays through
//! the tunnel for ten seconds, several at a time. Where a player and a camera have no transport in common it is the
//! tunnel that brings them together, so these cells have to play as well.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::cameras::{Gst, RATE, Takes, Vlc};
use crate::players::{Film, Player, Transport};
use crate::rtp::Played;
use crate::support::net::Net;
use crate::table;

/// Pictures of each cell: ten seconds.
const PICTURES: u64 = 10 * RATE;

/// The encoder may leave out its first picture or two.
const PICTURES_MIN: u64 = PICTURES - 3;

/// Pictures of a glance.
const GLANCE: u64 = RATE;

/// Cells that play at the same time. Each is a player, an encoder, and 50 packets a second through two daemons: a
/// tenth of a core.
const AT_ONCE: usize = 9;

/// Where the table is to be written; nowhere when absent.
const FILE: &str = "COCO_RTSP_MATRIX";

/// A camera of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Camera {
    Gst(Takes),
    /// It has UDP, and no switch.
    Vlc,
}

impl Camera {
    pub(crate) const ALL: [Self; 4] =
        [Self::Gst(Takes::Udp), Self::Gst(Takes::Tcp), Self::Gst(Takes::Both), Self::Vlc];

    pub(crate) fn title(self) -> String {
        match self {
            Self::Gst(takes) => format!("gst-rtsp-server, {}", takes.word()),
            Self::Vlc => "VLC, udp".to_owned(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Gst(takes) => takes.word(),
            Self::Vlc => "vlc",
        }
    }
}

/// One combination.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) camera: Camera,
    pub(crate) player: Player,
    pub(crate) transport: Transport,
    /// What the pair does without us.
    pub(crate) alone: Result<Played, String>,
    /// And through the tunnel.
    pub(crate) played: Result<Played, String>,
    /// Pictures that the camera counted; where it does not, those that its timestamps say there were.
    pub(crate) sent: Option<u64>,
}

impl Cell {
    fn mount(&self) -> String {
        format!("{}-{:?}-{}", self.camera.word(), self.player, self.transport.word()).to_lowercase()
    }

    fn film(&self, pictures: u64) -> Film {
        match self.camera {
            Camera::Gst(_) => Film::Whole(pictures),
            Camera::Vlc => Film::Part(pictures),
        }
    }

    /// What is wrong.
    pub(crate) fn fault(&self) -> Option<String> {
        let played = match &self.played {
            Err(error) => return Some(error.clone()),
            Ok(played) => played,
        };
        let sent = self.sent.unwrap_or_default();
        if sent < PICTURES_MIN {
            Some(format!("the camera sent {sent} pictures only"))
        } else if played.lost > 0 {
            Some(format!("{} packets are lost", played.lost))
        } else if played.pictures < sent {
            Some(format!("{} of {sent} pictures", played.pictures))
        } else {
            None
        }
    }
}

#[test]
fn every_player_plays_every_camera_over_every_transport_and_loses_nothing() {
    let began = Instant::now();
    let net = Net::new();
    let (exporter, viewer) = net.pair();
    let mut cells = Vec::new();
    for camera in Camera::ALL {
        for player in Player::ALL {
            for transport in Transport::ALL {
                let none = || Err("not tried".to_owned());
                cells.push(Cell { camera, player, transport, alone: none(), played: none(), sent: None });
            }
        }
    }
    let mut gst = Takes::ALL.map(|takes| {
        let mine = cells.iter().filter(|cell| cell.camera == Camera::Gst(takes)).map(Cell::mount);
        let mounts: Vec<(String, u64)> =
            mine.map(|mount| (mount, PICTURES)).chain([("glance".to_owned(), GLANCE)]).collect();
        Gst::start(&net.lab, takes, None, &mounts)
    });
    let vlc = Vlc::start(&net.lab);
    let url = |cell: &Cell, mount: &str| match cell.camera {
        Camera::Gst(takes) => gst[takes as usize].url(mount),
        Camera::Vlc => vlc.url().to_owned(),
    };

    let glances: Vec<String> = cells.iter().map(|cell| url(cell, "glance")).collect();
    let glances = all(&cells, &glances, GLANCE);
    for (cell, alone) in cells.iter_mut().zip(glances) {
        cell.alone = alone;
    }
    println!("tried without us after {:?}", began.elapsed());

    let opened: Vec<String> = cells
        .iter()
        .map(|cell| {
            exporter.expose(&url(cell, &cell.mount()), &cell.mount());
            viewer.open(&cell.mount())
        })
        .collect();
    println!("opened after {:?}", began.elapsed());
    let played = all(&cells, &opened, PICTURES);
    for (cell, played) in cells.iter_mut().zip(played) {
        cell.sent = match (&played, cell.camera) {
            (Err(_), _) => None,
            (Ok(_), Camera::Gst(takes)) => Some(gst[takes as usize].sent(&cell.mount())),
            (Ok(played), Camera::Vlc) => Some(played.span),
        };
        cell.played = played;
    }

    let text = table::text(&cells);
    println!("{text}\n{} cells in {:?}", cells.len(), began.elapsed());
    if let Some(file) = std::env::var_os(FILE) {
        std::fs::write(file, text).unwrap();
    }
    let faults: Vec<String> =
        cells.iter().filter_map(|cell| Some(format!("{}: {}", cell.mount(), cell.fault()?))).collect();
    assert!(faults.is_empty(), "{} of {} cells:\n{}", faults.len(), cells.len(), faults.join("\n"));
}

/// Play each cell at its URL, several at a time.
fn all(cells: &[Cell], urls: &[String], pictures: u64) -> Vec<Result<Played, String>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Result<Played, String>>> =
        cells.iter().map(|_| Mutex::new(Err("the player did not end".to_owned()))).collect();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((at, cell)) =
                    cells.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
                {
                    let played = cell.player.play(&urls[at], cell.transport, cell.film(pictures));
                    *results[at].lock().unwrap() = played;
                }
            });
        }
    });
    results.into_iter().map(|result| result.into_inner().unwrap()).collect()
}
