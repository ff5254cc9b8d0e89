//! `tunnel`: offering services, and opening those of others.

mod cameras;
pub(crate) mod facts;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use coconet::control::{Direction, Done, Expose, Open, Tunnel, TunnelState, Tunnels};
use coconet::grant::Capabilities;
use coconet::name::Name;
use coconet::resource::Kind;
use coconet::service::{LOGIN_MAX, Login, ServiceOptions};
use coconet::target::Target;
use zeroize::Zeroizing;

use super::{Context, network_query, status, watch};
use crate::args;
use crate::client::{GRACE, SLOW, segment};
use crate::fail::Fail;
use crate::interrupt::{UnderWay, aside};
use crate::print::clean;
use crate::secret;
use crate::table::Table;
use crate::units;

/// Longest login file, in bytes.
const LOGIN_FILE_MAX: u64 = 2 * LOGIN_MAX as u64 + 16;

pub(in crate::commands) async fn run(context: &Context, command: args::Tunnel) -> Result<(), Fail> {
    match command {
        args::Tunnel::Expose(args::Expose { discover: true, login_file, .. }) => {
            if login_file.is_some() {
                return Err(Fail::usage("a login is not sent to whatever calls itself a camera")
                    .because("a device that only pretends to be one could use it or guess the password")
                    .hint(format!(
                        "{} tunnel expose --discover, and --login-file with a camera's URL",
                        context.me()
                    )));
            }
            cameras::list(context).await
        }
        args::Tunnel::Expose(command) => expose(context, command).await,
        args::Tunnel::Open { resource, network, listen, timeout, path, allow, public } => {
            let listen = listen.map(|address| address.to_string());
            let allow = (!allow.is_empty()).then_some(allow);
            let timeout_s = Some(timeout.as_secs());
            let request = Open { resource, network, listen, timeout_s, path, allow, public };
            open(context, &request, timeout).await
        }
        args::Tunnel::List(watch) => list(context, watch).await,
        args::Tunnel::Close { tunnel, network } => {
            let path = format!("/v1/tunnels/{}{}", segment(tunnel.as_str()), network_query(network.as_ref()));
            context.begin(UnderWay::Change(format!("{} tunnel list", context.me())));
            let asking = context.client.delete::<Done>(&path);
            let answer = context.during("waiting for the manager", asking).await?;
            context.out.answer(&answer, |done| [done.message.clone()])
        }
    }
}

async fn expose(context: &Context, command: args::Expose) -> Result<(), Fail> {
    let args::Expose {
        url,
        name,
        network,
        can,
        login_file,
        max_clients,
        share,
        host_header,
        client_id_suffix,
        discover: _,
    } = command;
    let (Some(url), Some(name)) = (url, name) else {
        return Err(Fail::usage("what shall be exposed, and under which name?")
            .hint(format!("{} tunnel expose --help", context.me())));
    };
    let target: Target = url.parse().map_err(|error| {
        Fail::usage("this URL cannot be exposed")
            .because(error)
            .hint(format!("{} tunnel expose tcp://HOST:PORT --name {name}", context.me()))
    })?;
    let options = ServiceOptions { max_clients, share, host_header, client_id_suffix };
    options.fit(target.kind, login_file.is_some()).map_err(|error| {
        Fail::usage(format!("this option does not fit {} targets", target.kind))
            .because(error)
            .hint(format!("{} tunnel expose --help lists what is for which", context.me()))
    })?;
    let can = (!can.is_empty()).then(|| Capabilities::new(can)).transpose().map_err(|error| {
        Fail::usage("this cannot be granted")
            .because(error)
            .hint(format!("{} network grant --help lists what can", context.me()))
    })?;
    let login = match login_file {
        Some(file) => Some(read_login(&file).await?),
        None => None,
    };
    if target.had_login && login.is_none() {
        context.out.note(
            "warning: the login in the URL is not kept: the player has to give it, or --login-file does",
        );
    }
    // Printed again, the target has no login: it does not even reach the daemon.
    let request = Expose { url: target.to_string(), name, network, can, login, options };
    context.begin(UnderWay::Change(format!("{} tunnel list", context.me())));
    let asking = context.client.post::<Tunnel>("/v1/expose", &request, SLOW);
    let answer = context.during("waiting for the manager and the target", asking).await?;
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
    context.begin(UnderWay::Open(request.resource.clone()));
    let asking = context.client.post::<Tunnel>("/v1/open", request, wait + GRACE);
    let answer = context.during(&format!("opening {}", request.resource), asking).await?;
    context.begin(UnderWay::Nothing);
    // A player takes this word as it is: it has to be one.
    let url =
        answer.value.url.as_deref().filter(|url| !url.contains(char::is_whitespace) && clean(url) == *url);
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Err(Fail::failed("the daemon opened it and gave no usable URL")
            .hint(format!("{} tunnel list", context.me())));
    };
    context.out.answer(&answer, |_| [url.to_owned()])?;
    if answer.value.public {
        context.out.note(&format!(
            "warning: whoever reaches this machine on {} can use {}",
            answer.value.listen.as_deref().unwrap_or("that address"),
            answer.value.resource
        ));
    }
    if !warn_if_broken(context, &answer.value)
        && answer.value.kind == Kind::Http
        && let Some(path) = url.strip_prefix("unix:")
    {
        context.out.hint(&format!("curl --unix-socket {path} http://localhost/"));
    }
    Ok(())
}

/// The login in a file that nobody else can read.
async fn read_login(path: &Path) -> Result<Login, Fail> {
    let name = secret::place_of(path);
    let unreadable = |error: io::Error| {
        Fail::failed(format!("cannot read {name}"))
            .because(error)
            .hint("--login-file -, with USER:PASSWORD on standard input")
    };
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        let read = aside(|| {
            let mut text = Zeroizing::new(String::new());
            io::stdin().take(LOGIN_FILE_MAX).read_to_string(&mut text).map(|_| text)
        });
        text = read.await.map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Fail::failed(format!("others can read {name}")).hint(format!("chmod 600 {name}")));
        }
        file.take(LOGIN_FILE_MAX).read_to_string(&mut text).map_err(unreadable)?;
    }
    text.parse().map_err(|error| {
        Fail::usage(format!("{name} holds no login"))
            .because(error)
            .hint("cococtl tunnel expose --help says what a login file holds")
    })
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

async fn list(context: &Context, watch: args::Watch) -> Result<(), Fail> {
    let none = Cell::new(false);
    let ask = async || context.client.get::<Tunnels>("/v1/tunnels").await;
    watch::run(context, watch, ask, |tunnels| {
        none.set(tunnels.tunnels.is_empty());
        table(&tunnels.tunnels)
    })
    .await?;
    if none.get() {
        status::hint_no_tunnel(context, None);
    }
    Ok(())
}

/// The tunnels as a table, with the reasons of those that do not work below it, and what protocols tell.
pub(in crate::commands) fn table(tunnels: &[Tunnel]) -> Vec<String> {
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
    let public = tunnels.iter().filter(|tunnel| tunnel.public).map(|tunnel| {
        let place = tunnel.listen.as_deref().unwrap_or_default();
        format!("{} {} is public: whoever reaches {place} can use it", tunnel.id, tunnel.resource)
    });
    let inside = tunnels.iter().filter_map(|tunnel| {
        let process = tunnel.run?;
        Some(format!(
            "{} {} belongs to run {process}: it is reached from inside only",
            tunnel.id, tunnel.resource
        ))
    });
    let told = tunnels.iter().flat_map(facts::lines);
    table.lines().into_iter().chain(reasons).chain(public).chain(inside).chain(told).collect()
}
