//! Completion of command lines, with the names that there are.
//!
//! The scripts that `completions` prints run this program again whenever somebody presses Tab: with the name of the
//! shell in [`VARIABLE`], and the words so far behind `--`. Then [`answer`] prints what could come next. Which commands and options there are
//! is known here; names of networks, nodes, people and resources are asked of the daemon that the words are for.
//! A daemon that does not answer within [`DEADLINE`], or at all, costs these names and nothing else: nobody who
//! presses Tab wants to read an error.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use coconet::control::paths::SOCKET_NAME;
use coconet::control::{Invites, Members, Network, Status};
use coconet::resource::Kind;
use coconet::role::Role;
use serde::de::DeserializeOwned;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::args::{Args, Which};
use crate::client::Client;
use crate::commands::network_path;
use crate::fail::Fail;
use crate::place::{Place, houses};

/// Set, the command completes the words behind `--` instead of doing what they say.
pub(crate) const VARIABLE: &str = "COCOCTL_COMPLETE";

/// How long the daemon may take for each answer: somebody waits with a finger on a key.
const DEADLINE: Duration = Duration::from_millis(700);

/// Completes, where this program was run for that; whether it was.
pub(crate) fn answer(words: &[OsString]) -> Result<bool, Fail> {
    let complete = CompleteEnv::with_factory(Args::command).var(VARIABLE);
    let here = env::current_dir().ok();
    complete.try_complete(words, here.as_deref()).map_err(|error| {
        let error = error.to_string();
        let why = error.trim_end();
        Fail::failed("cannot complete")
            .because(why.strip_prefix("error: ").unwrap_or(why))
            .hint("cococtl completions --help lists the shells")
    })
}

/// The apps that have a control socket where sockets usually are.
pub(crate) fn apps() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let entries = houses().into_iter().filter_map(|house| fs::read_dir(house).ok()).flatten().flatten();
        let apps = entries.filter(|entry| entry.path().join(SOCKET_NAME).exists());
        candidates(apps.filter_map(|entry| Some((entry.file_name().into_string().ok()?, String::new()))))
    })
}

/// The networks that the daemon has joined.
pub(crate) fn networks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let status = status();
        candidates(status.iter().flat_map(|status| &status.networks).map(|network| {
            let help = format!("as {}, {} of {}", network.node.name, network.node.role, network.node.user);
            (network.name.to_string(), help)
        }))
    })
}

/// The resources that this node may use, of others and its own.
pub(crate) fn resources() -> ArgValueCandidates {
    ArgValueCandidates::new(|| resources_where(|_, _| true))
}

/// The resources of other nodes: what can be opened.
pub(crate) fn foreign_resources() -> ArgValueCandidates {
    ArgValueCandidates::new(|| resources_where(|network, node| network.node.name.as_str() != node))
}

/// What is exposed or opened here.
pub(crate) fn tunnels() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let status = status();
        candidates(status.iter().flat_map(|status| &status.tunnels).map(|tunnel| {
            let help = format!("{} {}, {}", tunnel.kind, tunnel.id, tunnel.state.as_str());
            (tunnel.resource.to_string(), help)
        }))
    })
}

/// The nodes of the network that is meant.
pub(crate) fn nodes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let members = members();
        candidates(members.iter().flat_map(|members| &members.users).flat_map(|user| {
            let of = format!("of {}", user.name);
            user.nodes.iter().map(move |node| (node.name.to_string(), of.clone()))
        }))
    })
}

/// The people of the network that is meant.
pub(crate) fn people() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let members = members();
        let users = members.iter().flat_map(|members| &members.users);
        candidates(users.map(|user| (user.name.to_string(), user.role.to_string())))
    })
}

/// The invites of the network that is meant which can still be used.
pub(crate) fn invites() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let networks = status().map(meant).unwrap_or_default();
        let lists =
            networks.iter().filter_map(|network| ask::<Invites>(&network_path(&network.name, "invites")));
        let invites = lists.flat_map(|list| list.invites);
        candidates(invites.map(|invite| (invite.id, format!("{}, by {}", invite.purpose, invite.inviter))))
    })
}

/// The roles there are.
pub(crate) fn roles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let roles = [Role::Owner, Role::Admin, Role::Guest];
        candidates(roles.map(|role| (role.to_string(), String::new())))
    })
}

/// What can be granted, of any kind of resource.
pub(crate) fn capabilities() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let of = |kind: Kind| kind.capabilities().iter().map(move |can| ((*can).to_owned(), String::new()));
        candidates(Kind::ALL.into_iter().flat_map(of))
    })
}

/// Each name once, in order.
fn candidates(named: impl IntoIterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let named: BTreeMap<String, String> = named.into_iter().collect();
    let candidate = |(name, help): (String, String)| {
        CompletionCandidate::new(name).help((!help.is_empty()).then(|| help.into()))
    };
    named.into_iter().map(candidate).collect()
}

fn resources_where(wanted: impl Fn(&Network, &str) -> bool) -> Vec<CompletionCandidate> {
    let networks = status().map(meant).unwrap_or_default();
    candidates(networks.iter().flat_map(|network| {
        let resources = network.resources.iter();
        let resources = resources.filter(|resource| wanted(network, resource.node.as_str()));
        resources
            .map(|resource| (resource.name.to_string(), format!("{} of {}", resource.kind, resource.node)))
    }))
}

/// The members of each network that may be meant.
fn members() -> Vec<Members> {
    let networks = status().map(meant).unwrap_or_default();
    networks.iter().filter_map(|network| ask(&network_path(&network.name, "members"))).collect()
}

/// The networks that are named on the line, or all of them.
fn meant(status: Status) -> Vec<Network> {
    let words = words();
    let named = |network: &Network| words.iter().any(|word| word == network.name.as_str());
    let (meant, others): (Vec<_>, Vec<_>) = status.networks.into_iter().partition(named);
    if meant.is_empty() { others } else { meant }
}

fn status() -> Option<Status> {
    ask("/v1/status")
}

/// What the daemon that the line is for answers, if it does.
fn ask<T: DeserializeOwned>(path: &str) -> Option<T> {
    let client = Client { place: Place::find(&which(&words())).ok()? };
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let answer = runtime.block_on(async { timeout(DEADLINE, client.get::<T>(path)).await });
    Some(answer.ok()?.ok()?.value)
}

/// The line that is being written, without the name of the program.
fn words() -> Vec<OsString> {
    env::args_os().skip_while(|word| word != "--").skip(2).collect()
}

/// The daemon it is for.
fn which(words: &[OsString]) -> Which {
    let value = |option: &str| {
        let at = words.iter().position(|word| word == option);
        let behind = at.and_then(|at| words.get(at + 1).cloned());
        let within = || {
            let mut values =
                words.iter().filter_map(|word| word.to_str()?.strip_prefix(option)?.strip_prefix('='));
            values.next().map(OsString::from)
        };
        behind.or_else(within)
    };
    let app = value("--app").as_deref().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    Which { app, socket: value("--socket").map(Into::into) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_the_one_that_the_line_names() {
        let which = |line: &str| which(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(which("--app camera tunnel open").app.map(String::from), Some("camera".to_owned()));
        assert_eq!(which("tunnel open --socket=/s").socket, Some("/s".into()));
        assert_eq!(which("network show --app").app, None);
    }

    #[test]
    fn each_name_is_offered_once() {
        let named =
            [("b", "1"), ("a", ""), ("b", "2")].map(|(name, help)| (name.to_owned(), help.to_owned()));
        let offered = candidates(named);
        let names: Vec<_> = offered.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
