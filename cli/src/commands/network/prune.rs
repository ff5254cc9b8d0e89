//! `prune`: removing nodes that nobody has seen for long.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Read};

use coconet::control::{Done, ErrorKind, MemberNode, Members, Network, PeerLink, VERSION};
use coconet::ledger::NodeKind;
use coconet::name::Name;
use serde::Serialize;

use super::people::unseen;
use crate::args::Prune;
use crate::client::segment;
use crate::commands::{Context, network_path, status};
use crate::fail::Fail;
use crate::interrupt::{UnderWay, aside};
use crate::table::Table;
use crate::{duration, units};

/// Most bytes read as an answer to a question.
const ANSWER_READ_MAX: u64 = 64;

/// What a run found and did.
#[derive(Serialize)]
struct Pruned {
    version: u32,
    network: Name,
    dry_run: bool,
    nodes: Vec<Stale>,
}

/// One node that nobody has seen.
#[derive(Serialize)]
struct Stale {
    id: String,
    name: Name,
    user: Name,
    kind: NodeKind,
    last_seen_ms: Option<u64>,
    resources: Vec<Name>,
    removed: bool,
}

pub(super) async fn run(context: &Context, prune: &Prune) -> Result<(), Fail> {
    let network = context.client.get::<Network>(&network_path(&prune.name, "")).await?.value;
    let members = context.client.get::<Members>(&network_path(&prune.name, "members")).await?.value;
    if members.users.iter().flat_map(|user| &user.nodes).all(|node| node.online.is_none()) {
        return Err(Fail::new(ErrorKind::TimedOut, "the manager does not say who was seen when")
            .hint(format!("{} network show {}", context.me(), prune.name)));
    }
    let now = units::now_ms();
    let (stale, kept) = find(prune, &network, members, now);
    let mut pruned =
        Pruned { version: VERSION, network: prune.name.clone(), dry_run: prune.dry_run, nodes: stale };
    if kept > 0 {
        context.out.hint(&format!(
            "{} unseen for as long stay: --devices removes them, too, with their resources",
            units::count(kept, "device")
        ));
    }
    if pruned.nodes.is_empty() || prune.dry_run {
        return context.out.own(pruned, |pruned| listed(prune, pruned, now));
    }
    if !prune.yes {
        confirm(context, prune, &pruned, now).await?;
    }
    let outcome = remove(context, prune, &mut pruned).await;
    if context.out.json {
        context.out.own(pruned, |_| [])?;
    }
    outcome
}

/// The nodes to remove, and how many devices are spared.
fn find(prune: &Prune, network: &Network, members: Members, now_ms: u64) -> (Vec<Stale>, u64) {
    let connected = network.peers.iter().filter(|peer| matches!(peer.state, PeerLink::Connected));
    // What this daemon sees itself is no hearsay.
    let seen: BTreeSet<&str> =
        connected.map(|peer| peer.id.as_str()).chain([network.node.id.as_str()]).collect();
    let nodes = members.users.into_iter().flat_map(|user| {
        let name = user.name;
        user.nodes.into_iter().map(move |node| (name.clone(), node))
    });
    let stale =
        nodes.filter(|(_, node)| !seen.contains(node.id.as_str()) && unseen(node, prune.unseen, now_ms));
    let (spared, stale): (Vec<_>, Vec<_>) =
        stale.partition(|(_, node)| node.kind == NodeKind::Device && !prune.devices);
    let stale = stale.into_iter().map(|(user, node)| {
        let MemberNode { id, name, kind, last_seen_ms, resources, .. } = node;
        Stale { id, name, user, kind, last_seen_ms, resources, removed: false }
    });
    (stale.collect(), spared.len() as u64)
}

fn listed(prune: &Prune, pruned: &Pruned, now_ms: u64) -> Vec<String> {
    if pruned.nodes.is_empty() {
        return vec![format!("no node to remove, unseen for {}", duration::text(prune.unseen))];
    }
    let mut table = Table::new(&["USER", "NODE", "KIND", "RESOURCES", "SEEN", "ID"]);
    for node in &pruned.nodes {
        table.row([
            node.user.to_string(),
            node.name.to_string(),
            status::node_kind(node.kind).to_owned(),
            node.resources.iter().map(Name::as_str).collect::<Vec<_>>().join(","),
            node.last_seen_ms.map(|then| units::ago(then, now_ms)).unwrap_or_default(),
            node.id.clone(),
        ]);
    }
    table.lines()
}

async fn confirm(context: &Context, prune: &Prune, pruned: &Pruned, now_ms: u64) -> Result<(), Fail> {
    let again = |why: &str| {
        Fail::usage(why).hint(format!(
            "{} network prune {} --unseen {} --dry-run, then --yes in its place",
            context.me(),
            prune.name,
            duration::text(prune.unseen)
        ))
    };
    let nodes = units::count(pruned.nodes.len() as u64, "node");
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(again(&format!("{nodes} would be removed from {}, and nobody can be asked", prune.name)));
    }
    listed(prune, pruned, now_ms).iter().for_each(|line| context.out.note(line));
    context.out.note(&format!("remove {nodes} from {}? They cannot come back. [y/N]", prune.name));
    let answer = aside(|| {
        let mut answer = String::new();
        io::stdin().lock().take(ANSWER_READ_MAX).read_line(&mut answer).map(|_| answer)
    });
    let answer = answer.await.map_err(|error| again("cannot read the answer").because(error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Fail::failed("nothing was removed")) }
}

/// Removes one after the other. What is refused does not keep the others; without an answer it ends.
async fn remove(context: &Context, prune: &Prune, pruned: &mut Pruned) -> Result<(), Fail> {
    let (total, mut failed, mut first) = (pruned.nodes.len(), 0, None);
    context.begin(UnderWay::Change(format!("{} network members {}", context.me(), prune.name)));
    for node in &mut pruned.nodes {
        let path = network_path(&prune.name, &format!("nodes/{}", segment(&node.id)));
        match context.client.delete::<Done>(&path).await {
            Ok(answer) => {
                node.removed = true;
                if !context.out.json {
                    context.out.lines([answer.value.message])?;
                }
            }
            Err(fail) => {
                failed += 1;
                context.out.note(&format!("{} stays: {}", node.name, fail.summary()));
                let last = fail.ends_a_run();
                first.get_or_insert(fail);
                if last {
                    break;
                }
            }
        }
    }
    match first {
        None => Ok(()),
        Some(fail) => Err(fail
            .or_hint("do something about what failed, and prune again")
            .within(format!("{failed} of {total} nodes could not be removed"))),
    }
}
