//! What is compared, set up and ready: each an address on the near side behind which the same target
//! answers, and the processes in between.

pub(crate) mod coco;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use crate::lab::{Lab, Side};
use crate::process::{Running, part};

/// The port of the bare forwarder, where we may choose.
const BARE_PORT: u16 = 7001;

/// A contender's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// TCP from the application to the target, with nothing between
    Raw,
    /// A bare QUIC forwarder with the same cipher and settings
    Bare,
    /// coco's daemons
    Coco,
}

/// One contender, running.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) which: Which,
    /// Where the application connects.
    pub(crate) address: SocketAddr,
    /// Its processes that carry the traffic, at both ends.
    pub(crate) ends: Vec<Running>,
    /// Resident megabytes of the larger end before any traffic.
    pub(crate) idle_mb: f64,
}

/// All contenders and what they need.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) contenders: Vec<Contender>,
    // Only held: dropped, they end.
    _background: Vec<Running>,
}

/// A directory that goes with us.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Which {
    fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw TCP",
            Self::Bare => "bare noq",
            Self::Coco => "coco",
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Field {
    pub(crate) async fn set_up(lab: &Lab, which: &[Which], scratch: &Path) -> anyhow::Result<Self> {
        let any = match lab {
            Lab::Namespaces(_) => "0.0.0.0:0",
            Lab::Loopback { .. } => "127.0.0.1:0",
        };
        let (server, listens) = Running::until_ready(part(lab, Side::Far, &["target", any])?).await?;
        let port = listens.parse::<SocketAddr>()?.port();
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let mut background = vec![server];
        let mut contenders = Vec::new();
        for which in which {
            let (address, ends) = match which {
                Which::Raw => (SocketAddr::new(lab.address(Side::Far), port), Vec::new()),
                Which::Bare => bare(lab, target).await?,
                Which::Coco => {
                    let coco = coco::set_up(lab, target, scratch).await.context("setting up coco")?;
                    background.push(coco.manager);
                    (coco.address, coco.daemons)
                }
            };
            contenders.push(Contender { which: *which, address, idle_mb: larger_mb(&ends)?, ends });
        }
        Ok(Self { contenders, _background: background })
    }
}

/// Resident megabytes of the larger end.
pub(crate) fn larger_mb(ends: &[Running]) -> anyhow::Result<f64> {
    ends.iter().map(Running::rss_mb).try_fold(0.0, |most, mb| Ok(mb?.max(most)))
}

async fn bare(lab: &Lab, target: SocketAddr) -> anyhow::Result<(SocketAddr, Vec<Running>)> {
    let peer = lab.free_udp(Side::Far, BARE_PORT)?.to_string();
    let far = part(lab, Side::Far, &["bare-far", &peer, &target.to_string()])?;
    let (far, _) = Running::until_ready(far).await.context("the bare forwarder's far end")?;
    let near = part(lab, Side::Near, &["bare-near", &peer])?;
    let (near, address) = Running::until_ready(near).await.context("the bare forwarder's near end")?;
    Ok((address.parse()?, vec![near, far]))
}

impl Scratch {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("coco-bench.{}", std::process::id()));
        std::fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
        Ok(Self(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it is in the temporary directory, where it bothers nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
