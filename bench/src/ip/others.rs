//! wireguard-go and nebula, as Debian has them and with their own defaults.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::Carrier;
use crate::lab::{Lab, Side};
use crate::process::{Running, command, output};

/// Their ports.
const WIREGUARD_PORT: u16 = 7006;
const NEBULA_PORT: u16 = 7007;

/// Longest wait for an interface.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of the two ends in one of them.
fn inside(network: u8, side: Side) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, network, if side == Side::Near { 1 } else { 2 })
}

pub(super) async fn wireguard_go(lab: &Lab, scratch: &Path) -> anyhow::Result<Carrier> {
    const NETWORK: u8 = 10;
    let mut ends = Vec::new();
    let mut keys = Vec::new();
    for side in [Side::Near, Side::Far] {
        let file = scratch.join(format!("{side:?}.key"));
        let key = output(with(command(lab, side, "wg"), &["genkey"])).await?;
        std::fs::write(&file, &key)?;
        let shell = format!("wg pubkey <{}", file.display());
        keys.push((file, output(with(command(lab, side, "sh"), &["-c", &shell])).await?));
        // Its control socket has the interface's name, for all namespaces.
        let program = with(command(lab, side, "wireguard-go"), &["-f", &interface(side)]);
        ends.push(Running::start(program, scratch.join(format!("{side:?}.log")))?);
        await_interface(lab, side).await?;
    }
    for (at, (side, other)) in [(Side::Near, Side::Far), (Side::Far, Side::Near)].into_iter().enumerate() {
        let (name, key) = (interface(side), keys[at].0.display().to_string());
        let endpoint = format!("{}:{WIREGUARD_PORT}", lab.address(other));
        let port = WIREGUARD_PORT.to_string();
        let set = ["set", &name, "listen-port", &port, "private-key", &key, "peer", &keys[1 - at].1];
        let set = [&set[..], &["endpoint", &endpoint, "allowed-ips", "10.77.10.0/24"]].concat();
        output(with(command(lab, side, "wg"), &set)).await?;
        let address = format!("{}/24", inside(NETWORK, side));
        output(with(command(lab, side, "ip"), &["address", "add", &address, "dev", &name])).await?;
        output(with(command(lab, side, "ip"), &["link", "set", &name, "up"])).await?;
    }
    Ok(Carrier { address: IpAddr::V4(inside(NETWORK, Side::Far)), ends, _background: Vec::new() })
}

pub(super) async fn nebula(lab: &Lab, scratch: &Path) -> anyhow::Result<Carrier> {
    const NETWORK: u8 = 11;
    let cert = |words: &[&str]| {
        let mut cert = with(command(lab, Side::Far, "nebula-cert"), words);
        cert.current_dir(scratch);
        output(cert)
    };
    cert(&["ca", "-name", "bench"]).await.context("making a CA")?;
    let mut ends = Vec::new();
    for (side, other) in [(Side::Far, Side::Near), (Side::Near, Side::Far)] {
        let (name, ip) = (format!("{side:?}"), format!("{}/24", inside(NETWORK, side)));
        cert(&["sign", "-name", &name, "-ip", &ip]).await?;
        let dir = scratch.display();
        let (there, at) = (inside(NETWORK, other), lab.address(other));
        let config = format!(
            "pki: {{ca: {dir}/ca.crt, cert: {dir}/{name}.crt, key: {dir}/{name}.key}}\n\
             static_host_map: {{\"{there}\": [\"{at}:{NEBULA_PORT}\"]}}\n\
             lighthouse: {{am_lighthouse: false, hosts: []}}\n\
             listen: {{host: 0.0.0.0, port: {NEBULA_PORT}}}\n\
             tun: {{dev: nebula, disabled: false}}\n\
             firewall:\n  outbound: [{{port: any, proto: any, host: any}}]\n  \
             inbound: [{{port: any, proto: any, host: any}}]\n"
        );
        let file = scratch.join(format!("{name}.yml"));
        std::fs::write(&file, config)?;
        let mut program = command(lab, side, "nebula");
        program.arg("-config").arg(file);
        ends.push(Running::start(program, scratch.join(format!("{name}.log")))?);
    }
    Ok(Carrier { address: IpAddr::V4(inside(NETWORK, Side::Far)), ends, _background: Vec::new() })
}

fn interface(side: Side) -> String {
    let letter = if side == Side::Near { 'n' } else { 'f' };
    format!("wg{letter}{}", std::process::id())
}

async fn await_interface(lab: &Lab, side: Side) -> anyhow::Result<()> {
    let began = Instant::now();
    while output(with(command(lab, side, "wg"), &["show", &interface(side)])).await.is_err() {
        if began.elapsed() > PATIENCE {
            bail!("wireguard-go has no interface");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn with(mut command: tokio::process::Command, words: &[&str]) -> tokio::process::Command {
    command.args(words);
    command
}
