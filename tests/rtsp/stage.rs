//! A scripted camera behind a tunnel, and what it is to see played.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::players::Transport;
use crate::scripted::{Camera, Script, numbered};
use crate::support::net::{App, Net};
use crate::support::wait::PATIENCE;
use crate::viewer::Viewer;

/// What the resource is called.
pub(crate) const NAME: &str = "front-door";

/// A camera that is exposed and opened.
pub(crate) struct Stage {
    pub(crate) camera: Camera,
    /// The local URL.
    pub(crate) url: String,
    pub(crate) exporter: App,
    pub(crate) viewer: App,
    pub(crate) packets: u32,
    pub(crate) net: Net,
}

impl Stage {
    pub(crate) fn new(script: Script) -> Self {
        Self::with(script, &[])
    }

    /// Exposed with these options.
    pub(crate) fn with(script: Script, options: &[&str]) -> Self {
        Self::on(Net::new(), script, options)
    }

    /// In a network that has nodes of no name yet.
    pub(crate) fn on(net: Net, script: Script, options: &[&str]) -> Self {
        let packets = script.packets;
        let camera = Camera::start(script);
        let (exporter, viewer) = net.pair();
        exporter.ok(&[&["tunnel", "expose", &camera.url(), "--name", NAME][..], options].concat());
        let url = viewer.open(NAME);
        Self { camera, url, exporter, viewer, packets, net }
    }

    /// A viewer that has asked what there is.
    pub(crate) fn open(&self, transport: Transport) -> Viewer {
        Viewer::open(&self.url, transport).unwrap_or_else(|error| panic!("{transport:?}: {error}"))
    }

    /// Play all, whole and once.
    pub(crate) fn plays(&self, transport: Transport) -> Viewer {
        let mut viewer = self.open(transport);
        viewer.start().unwrap_or_else(|error| panic!("{transport:?}: {error}"));
        self.gets_all(&mut viewer);
        viewer
    }

    /// See that every packet comes, and nothing else, after PLAY.
    pub(crate) fn gets_all(&self, viewer: &mut Viewer) {
        let mut came = vec![0_u32; self.packets as usize];
        viewer
            .receive(Instant::now() + PATIENCE, |packet| {
                if packet.is_empty() {
                    // What opens NATs looks like that.
                    return;
                }
                let (number, _) =
                    numbered(packet).unwrap_or_else(|| panic!("not of the camera: {packet:x?}"));
                came[number as usize] += 1;
            })
            .unwrap();
        let missing: Vec<usize> = (0..came.len()).filter(|number| came[*number] == 0).collect();
        assert!(missing.is_empty(), "{} of {} packets did not come: {missing:?}", missing.len(), came.len());
        assert!(came.iter().all(|times| *times == 1), "some came twice: {came:?}");
    }

    /// Over both transports, one after the other.
    pub(crate) fn plays_both(&self) {
        for transport in Transport::ALL {
            let mut viewer = self.plays(transport);
            viewer.teardown().unwrap();
        }
    }
}

/// A file that only we may read.
pub(crate) fn secret_file(net: &Net, text: &str) -> io::Result<String> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = net.lab.path("login");
    let mut file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path.to_str().unwrap_or_default().to_owned())
}

/// How long nothing has to come, to be nothing.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);
