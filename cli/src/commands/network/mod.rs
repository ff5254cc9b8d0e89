//! `network`: founding and listing here, the rest by what it is about.

mod apply;
mod invites;
mod ledger;
mod people;
mod prune;
mod recovery;
mod verify;

use coconet::control::{Change, CreateNetwork, Done, Network, Networks, Progress, Work, WorkStep};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;

use super::{Context, change_and_tell, network_path, status};
use crate::args;
use crate::client::{Answer, SLOW};
use crate::fail::Fail;
use crate::interrupt::UnderWay;
use crate::line::Line;
use crate::print::Printer;
use crate::table::Table;
use crate::units;

/// Does what needs no daemon, and gives back what does.
pub(super) fn without_daemon(out: Printer, command: args::Network) -> Result<Option<args::Network>, Fail> {
    match command {
        args::Network::Verify { file, guest } => verify::run(out, &file, guest).map(|()| None),
        args::Network::Roles => people::roles(out).map(|()| None),
        other => Ok(Some(other)),
    }
}

pub(super) async fn run(context: &Context, command: args::Network) -> Result<(), Fail> {
    match command {
        args::Network::Create { name, manager, user, node_name } => {
            create(context, name, &manager, user, node_name).await
        }
        args::Network::List => list(context).await,
        args::Network::Show { name } => show(context, &name).await,
        args::Network::Leave { name, forget } => leave(context, &name, forget).await,
        args::Network::Invite(invite) => invites::invite(context, invite).await,
        args::Network::Invites { name } => invites::list(context, &name).await,
        args::Network::RevokeInvite { name, invite } => invites::revoke(context, &name, &invite).await,
        args::Network::Join(join) => invites::join(context, join).await,
        args::Network::Members { name } => people::members(context, &name).await,
        args::Network::Role { name, user, role } => {
            change_and_tell(context, &name, &Change::SetRole { user, role }).await
        }
        args::Network::Remove { name, user } => {
            change_and_tell(context, &name, &Change::RemoveUser { user }).await
        }
        args::Network::Rename { name, user, to } => {
            change_and_tell(context, &name, &Change::RenameUser { user, to }).await
        }
        args::Network::Grant(grant) => people::grant(context, grant).await,
        args::Network::Revoke { name, user, resource } => {
            change_and_tell(context, &name, &Change::RevokeGrant { user, resource }).await
        }
        args::Network::Grants { name } => people::grants(context, &name).await,
        args::Network::Apply(apply) => apply::run(context, &apply).await,
        args::Network::Prune(prune) => prune::run(context, &prune).await,
        args::Network::Roles => people::roles(context.out),
        args::Network::Log { name } => ledger::log(context, &name).await,
        args::Network::Audit { name } => ledger::audit(context, &name).await,
        args::Network::Export { name, output } => ledger::export(context, &name, &output).await,
        args::Network::Verify { file, guest } => verify::run(context.out, &file, guest),
        args::Network::RecoveryKey { name } => recovery::make(context, &name).await,
        args::Network::Recover(recover) => recovery::recover(context, recover).await,
        args::Network::Managers { name, managers } => set_managers(context, &name, &managers).await,
        args::Network::Checkpoint { name } => change_and_tell(context, &name, &Change::Checkpoint).await,
    }
}

async fn create(
    context: &Context,
    name: Name,
    manager: &str,
    user: Option<Name>,
    node_name: Option<Name>,
) -> Result<(), Fail> {
    let manager = self::manager(manager)?;
    let key = name.to_string();
    let request = CreateNetwork { name, manager: manager.to_string(), user, node_name };
    let asking = context.client.post::<Network>("/v1/networks", &request, SLOW);
    let answer = become_node(context, "created", key, asking).await?;
    context.out.answer(&answer, |network| [joined("created", network)])?;
    let name = &answer.value.name;
    context.out.hint(&format!("{} network invite {name} --self, or --device", context.me()));
    Ok(())
}

async fn list(context: &Context) -> Result<(), Fail> {
    let answer = context.client.get::<Networks>("/v1/networks").await?;
    context.out.answer(&answer, |networks| {
        let mut table = Table::new(&["NAME", "NODE", "USER", "ROLE", "MANAGER", "USERS", "NODES", "ID"]);
        for network in &networks.networks {
            table.row([
                network.name.to_string(),
                network.node.name.to_string(),
                network.node.user.to_string(),
                network.node.role.to_string(),
                status::manager_word(network).to_owned(),
                network.users.to_string(),
                network.nodes.to_string(),
                network.id.clone(),
            ]);
        }
        table.lines()
    })?;
    if answer.value.networks.is_empty() {
        status::hint_no_network(context);
    }
    Ok(())
}

async fn show(context: &Context, name: &Name) -> Result<(), Fail> {
    let answer = context.client.get::<Network>(&network_path(name, "")).await?;
    context.out.answer(&answer, |network| status::network_in_full(network, units::now_ms()))
}

async fn leave(context: &Context, name: &Name, forget: bool) -> Result<(), Fail> {
    let path = format!("{}?forget={forget}", network_path(name, ""));
    context.begin(UnderWay::Change(format!("{} network list", context.me())));
    let asking = context.client.delete::<Done>(&path);
    let answer = context.during("waiting for the manager", asking).await?;
    context.out.answer(&answer, |done| [done.message.clone()])
}

/// Awaits the daemon's becoming a node of the network that it calls `key`, and shows how far it is.
async fn become_node(
    context: &Context,
    what: &'static str,
    key: String,
    asking: impl Future<Output = Result<Answer<Network>, Fail>>,
) -> Result<Answer<Network>, Fail> {
    context.begin(UnderWay::Network(what, key.clone()));
    let doing = async || {
        let progress = context.client.get::<Progress>("/v1/progress").await;
        let work = progress.ok().and_then(|answer| answer.value.work.into_iter().find(|w| w.network == key));
        work.map_or_else(|| "waiting for the daemon".to_owned(), |work| step(&work))
    };
    let answer = Line::new(context.out).during(asking, doing).await;
    context.begin(UnderWay::Nothing);
    answer
}

fn step(work: &Work) -> String {
    match (work.step, work.entries) {
        (WorkStep::Connecting, _) => "connecting to the manager".to_owned(),
        (WorkStep::Writing, _) => "joining: the manager writes it into the ledger".to_owned(),
        (WorkStep::Verifying, Some(entries)) => {
            format!("verifying the ledger: {} of {}", work.verified, units::count(entries, "entry"))
        }
        (WorkStep::Verifying, None) => {
            format!("verifying the ledger: {}", units::count(work.verified, "entry"))
        }
    }
}

async fn set_managers(context: &Context, name: &Name, managers: &[String]) -> Result<(), Fail> {
    let parsed: Result<Vec<String>, Fail> =
        managers.iter().map(|text| Ok(manager(text)?.to_string())).collect();
    change_and_tell(context, name, &Change::SetManagers { managers: parsed? }).await
}

fn manager(text: &str) -> Result<ManagerAddr, Fail> {
    text.parse().map_err(|error| {
        Fail::usage("this is no manager address")
            .because(error)
            .hint("copy the whole line that `coco-manager init` printed on the manager's machine")
    })
}

fn joined(how: &str, network: &Network) -> String {
    let node = &network.node;
    format!("{how} {} as {}, {} of {}, {}", network.name, node.name, node.role, node.user, network.id)
}
