//! coco as its users run it: the release binaries, a manager, a daemon at each end, `cococtl` to join
//! them.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::lab::{Lab, Side};
use crate::process::{Running, command, output};

/// The manager's port, where we may choose.
const MANAGER_PORT: u16 = 7002;

/// Longest wait for a process to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// coco, with a tunnel open.
pub(super) struct Coco {
    pub(super) address: SocketAddr,
    pub(super) daemons: Vec<Running>,
    pub(super) manager: Running,
}

/// The processes at both ends, and the manager, of coco that carries IP; and the far side's address in it.
pub(crate) async fn set_up_ip(
    lab: &Lab,
    scratch: &Path,
) -> anyhow::Result<((Vec<Running>, Running), IpAddr)> {
    let config = Some("[ip]\nhost = true\n");
    let Pair { device, viewer, daemons, manager } = Pair::start(lab, scratch, config).await?;
    device.ask(&["tunnel", "expose", "ip:", "--name", "device-ip"]).await?;
    let shown: serde_json::Value =
        serde_json::from_str(&device.ask(&["--json", "network", "show", "bench"]).await?)?;
    let address = shown["ip"]["address"].as_str().context("no address")?.parse()?;
    // An interface has the addresses of what its daemon is a member of when it starts.
    drop(daemons);
    let daemons =
        vec![viewer.start("viewer", scratch, config).await?, device.start("device", scratch, config).await?];
    for daemon in [&viewer, &device] {
        daemon.ask(&["wait", "--online"]).await?;
    }
    Ok(((daemons, manager), address))
}

/// Two daemons in one network.
struct Pair<'a> {
    device: Daemon<'a>,
    viewer: Daemon<'a>,
    daemons: Vec<Running>,
    manager: Running,
}

impl<'a> Pair<'a> {
    async fn start(lab: &'a Lab, scratch: &Path, config: Option<&str>) -> anyhow::Result<Self> {
        let public = lab.free_udp(Side::Far, MANAGER_PORT)?.to_string();
        let state = scratch.join("manager");
        let mut init = command(lab, Side::Far, binary("coco-manager")?);
        init.arg("init").arg("--state").arg(&state).args(["--listen", &public, "--public", &public]);
        let manager_address = output(init).await?;
        let mut run = command(lab, Side::Far, binary("coco-manager")?);
        run.arg("run").arg("--state").arg(&state);
        let manager = Running::start(run, scratch.join("manager.log"))?;

        let device = Daemon { lab, side: Side::Far, socket: scratch.join("device.sock") };
        let viewer = Daemon { lab, side: Side::Near, socket: scratch.join("viewer.sock") };
        let daemons = vec![
            viewer.start("viewer", scratch, config).await?,
            device.start("device", scratch, config).await?,
        ];

        device.ask(&["network", "create", "bench", "--manager", &manager_address]).await?;
        device.ask(&["wait", "--online"]).await?;
        let invite = device.ask(&["network", "invite", "bench", "--self"]).await?;
        viewer.ask(&["network", "join", &invite]).await?;
        viewer.ask(&["wait", "--online"]).await?;
        Ok(Self { device, viewer, daemons, manager })
    }
}

/// One app's daemon.
struct Daemon<'a> {
    lab: &'a Lab,
    side: Side,
    socket: PathBuf,
}

pub(super) async fn set_up(lab: &Lab, target: SocketAddr, scratch: &Path) -> anyhow::Result<Coco> {
    let Pair { device, viewer, daemons, manager } = Pair::start(lab, scratch, None).await?;
    device.ask(&["tunnel", "expose", &format!("tcp://{target}"), "--name", "target"]).await?;
    let url = viewer.ask(&["tunnel", "open", "target"]).await?;
    let address = url.strip_prefix("tcp://").with_context(|| format!("not a tunnel's URL: {url}"))?;
    Ok(Coco { address: address.parse()?, daemons, manager })
}

impl Daemon<'_> {
    async fn start(&self, app: &str, scratch: &Path, config: Option<&str>) -> anyhow::Result<Running> {
        let mut daemon = command(self.lab, self.side, binary("cocod")?);
        daemon.args(["--app", app]).arg("--state").arg(scratch.join(app)).arg("--socket").arg(&self.socket);
        if let Some(config) = config {
            let file = scratch.join(format!("{app}.toml"));
            std::fs::write(&file, config)?;
            daemon.arg("--config").arg(file);
        }
        // As users run it: without a message per stream.
        daemon.env_remove("COCO_LOG");
        let running = Running::start(daemon, scratch.join(format!("{app}.log")))?;
        let started = Instant::now();
        while output(self.command(&["status"])?).await.is_err() {
            if started.elapsed() > PATIENCE {
                bail!("cocod of {app} does not answer");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(running)
    }

    async fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        output(self.command(words)?).await
    }

    fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut cococtl = command(self.lab, self.side, binary("cococtl")?);
        cococtl.arg("--socket").arg(&self.socket).args(words);
        Ok(cococtl)
    }
}

/// A release binary: from `COCO_BIN`, or beside us in the target directory.
pub(crate) fn binary(name: &str) -> anyhow::Result<OsString> {
    let directory = match std::env::var_os("COCO_BIN") {
        Some(directory) => PathBuf::from(directory),
        None => crate::report::target_directory().join("release"),
    };
    let path = directory.join(name);
    if !path.exists() {
        bail!("there is no {}; build it: cargo build --release --bins", path.display());
    }
    Ok(path.into_os_string())
}
