//! `tunnel`: offering services, and opening those of others.

use std::time::Duration;

use coconet::control::{Direction, Done, Expose, Open, Tunnel, TunnelState, Tunnels};
use coconet::name::Name;
use coconet::target::Target;

use super::{Context, network_query, status};
use crate::args;
use crate::client::{GRACE, SLOW, segment};
use crate::fail::Fail;
use crate::print::clean;
use crate::table::Table;
use crate::units;

pub(super) async fn run(context: &Context, command: args::Tunnel) -> Result<(), Fail> {
    match command {
        args::Tunnel::Expose { url, name, network } => expose(context, &url, name, network).await,
        args::Tunnel::Open { resource, network, listen, timeout, path } => {
            let listen = listen.map(|address| address.to_string());
            let request = Open { resource, network, listen, timeout_s: Some(timeout.as_secs()), path };
            open(context, &request, timeout).await
        }
        args::Tunnel::List => list(context).await,
        args::Tunnel::Close { tunnel, network } => {
            let path = format!("/v1/tunnels/{}{}", segment(tunnel.as_str()), network_query(network.as_ref()));
            let answer = context.client.delete::<Done>(&path).await?;
            context.out.answer(&answer, |done| [done.message.clone()])
        }
    }
}

async fn expose(context: &Context, url: &str, name: Name, network: Option<Name>) -> Result<(), Fail> {
    let target: Target = url.parse().map_err(|error| {
        Fail::usage("this URL cannot be exposed")
            .because(error)
            .hint(format!("{} tunnel expose tcp://HOST:PORT --name {name}", context.me()))
    })?;
    if target.had_login {
        context.out.note("warning: the login in the URL is not published: the player has to give it");
    }
    // Printed again, the target has no login: it does not even reach the daemon.
    let request = Expose { url: target.to_string(), name, network };
    let answer = context.client.post::<Tunnel>("/v1/expose", &request, SLOW).await?;
    context.out.answer(&answer, |tunnel| {
        [format!("exposed {} as {} in {}, {}", target, tunnel.resource, tunnel.network, tunnel.id)]
    })?;
    if warn_if_broken(context, &answer.value) {
        return Ok(());
    }
    context.out.hint(&format!(
        "cococtl tunnel open {}, on another node of {}",
        answer.value.resource, answer.value.network
    ));
    Ok(())
}

async fn open(context: &Context, request: &Open, wait: Duration) -> Result<(), Fail> {
    let answer = context.client.post::<Tunnel>("/v1/open", request, wait + GRACE).await?;
    // A player takes this word as it is: it has to be one.
    let url =
        answer.value.url.as_deref().filter(|url| !url.contains(char::is_whitespace) && clean(url) == *url);
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Err(Fail::failed("the daemon opened it and gave no usable URL")
            .hint(format!("{} tunnel list", context.me())));
    };
    context.out.answer(&answer, |_| [url.to_owned()])?;
    warn_if_broken(context, &answer.value);
    Ok(())
}

/// Says why a tunnel does not work, and whether that is so.
fn warn_if_broken(context: &Context, tunnel: &Tunnel) -> bool {
    match tunnel.state {
        TunnelState::Open | TunnelState::Reopened => false,
        TunnelState::Opening | TunnelState::MaxClients | TunnelState::Failed | TunnelState::Closed => {
            let reason = tunnel.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            context.out.note(&format!("warning: {} is {}{reason}", tunnel.resource, tunnel.state.as_str()));
            true
        }
    }
}

async fn list(context: &Context) -> Result<(), Fail> {
    let answer = context.client.get::<Tunnels>("/v1/tunnels").await?;
    context.out.answer(&answer, |tunnels| table(&tunnels.tunnels))?;
    if answer.value.tunnels.is_empty() {
        status::hint_no_tunnel(context, None);
    }
    Ok(())
}

/// The tunnels as a table, with the reasons of those that do not work below it.
pub(super) fn table(tunnels: &[Tunnel]) -> Vec<String> {
    let heading =
        ["ID", "RESOURCE", "NETWORK", "KIND", "DIRECTION", "STATE", "WHERE", "NODE", "CLIENTS", "IN", "OUT"];
    let mut table = Table::new(&heading);
    for tunnel in tunnels {
        let (direction, place) = match tunnel.direction {
            Direction::Expose => ("expose", tunnel.target.as_ref()),
            Direction::Open => ("open", tunnel.url.as_ref().or(tunnel.listen.as_ref())),
        };
        table.row([
            tunnel.id.clone(),
            tunnel.resource.to_string(),
            tunnel.network.to_string(),
            tunnel.kind.to_string(),
            direction.to_owned(),
            tunnel.state.as_str().to_owned(),
            place.cloned().unwrap_or_default(),
            tunnel.node.as_ref().map(Name::to_string).unwrap_or_default(),
            tunnel.clients.to_string(),
            units::bytes(tunnel.bytes_in),
            units::bytes(tunnel.bytes_out),
        ]);
    }
    let reasons = tunnels.iter().filter_map(|tunnel| {
        Some(format!(
            "{} {} is {}: {}",
            tunnel.id,
            tunnel.resource,
            tunnel.state.as_str(),
            tunnel.reason.as_ref()?
        ))
    });
    table.lines().into_iter().chain(reasons).collect()
}
