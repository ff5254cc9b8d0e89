//! `network`: founding, inviting, joining, and who is in it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

use coconet::control::{
    CreateInvite, CreateNetwork, Done, InvitePurpose, Invited, JoinNetwork, Members, Network, Networks,
};
use coconet::invite::{INVITE_TEXT_MAX, Invitation};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;

use super::{Context, status};
use crate::args::{self, Invite, Join};
use crate::client::{SLOW, segment};
use crate::duration;
use crate::fail::Fail;
use crate::place::word;
use crate::table::Table;
use crate::units;

/// Most bytes read where an invite is expected: the longest invite, cut into lines.
const INVITE_READ_MAX: u64 = 2 * INVITE_TEXT_MAX as u64;

const INVITE_PREFIX: &str = "coco1";

pub(super) async fn run(context: &Context, command: args::Network) -> Result<(), Fail> {
    match command {
        args::Network::Create { name, manager, user, node_name } => {
            create(context, name, &manager, user, node_name).await
        }
        args::Network::List => list(context).await,
        args::Network::Show { name } => show(context, &name).await,
        args::Network::Leave { name, forget } => leave(context, &name, forget).await,
        args::Network::Invite(invite) => self::invite(context, invite).await,
        args::Network::Join(join) => self::join(context, join).await,
        args::Network::Members { name } => members(context, &name).await,
    }
}

async fn create(
    context: &Context,
    name: Name,
    manager: &str,
    user: Option<Name>,
    node_name: Option<Name>,
) -> Result<(), Fail> {
    let manager: ManagerAddr = manager.parse().map_err(|error| {
        Fail::usage("this is no manager address")
            .because(error)
            .hint("copy the whole line that `coco-manager init` printed on the manager's machine")
    })?;
    let request = CreateNetwork { name, manager: manager.to_string(), user, node_name };
    let answer = context.client.post::<Network>("/v1/networks", &request, SLOW).await?;
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
    let path = format!("/v1/networks/{}", segment(name.as_str()));
    let answer = context.client.get::<Network>(&path).await?;
    context.out.answer(&answer, |network| status::network_in_full(network, units::now_ms()))
}

async fn leave(context: &Context, name: &Name, forget: bool) -> Result<(), Fail> {
    let path = format!("/v1/networks/{}?forget={forget}", segment(name.as_str()));
    let answer = context.client.delete::<Done>(&path).await?;
    context.out.answer(&answer, |done| [done.message.clone()])
}

async fn invite(context: &Context, invite: Invite) -> Result<(), Fail> {
    let (purpose, whom) = match (invite.user, invite.role) {
        (Some(user), Some(role)) => {
            let whom = format!("an app of {user}, as {role}");
            (InvitePurpose::User { user, role }, whom)
        }
        _ if invite.device => {
            (InvitePurpose::Device { publish: !invite.no_publish }, "a device of yours".to_owned())
        }
        _ => (InvitePurpose::SelfApp, "your next app".to_owned()),
    };
    let request = CreateInvite {
        purpose,
        uses: invite.uses,
        expires_s: invite.expires.as_secs(),
        node_name: invite.node_name,
    };
    let path = format!("/v1/networks/{}/invites", segment(invite.name.as_str()));
    let answer = context.client.post::<Invited>(&path, &request, SLOW).await?;
    let invited = &answer.value;
    if !invited.invite.starts_with(INVITE_PREFIX)
        || !invited.invite.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Err(Fail::failed("the daemon's answer is no invite").hint("look at the daemon's log"));
    }
    context.out.answer(&answer, |invited| [invited.invite.clone()])?;
    if !context.out.json {
        context.out.note(&format!(
            "a secret: whoever has it can join {} as {whom}, {}, until {} ({})",
            invite.name,
            if invited.uses == 1 { "once".to_owned() } else { format!("{} times", invited.uses) },
            units::date(invited.expires_ms),
            duration::text(invite.expires),
        ));
        context.out.hint("cococtl network join - on the other machine, with the invite on its stdin");
    }
    Ok(())
}

async fn join(context: &Context, join: Join) -> Result<(), Fail> {
    let invite = match (&join.invite, &join.file) {
        (Some(dash), _) if dash == "-" => from_stdin(context)?,
        (Some(invite), _) => invite.clone(),
        (None, Some(file)) => from_file(file)?,
        (None, None) => return Err(Fail::usage("an invite is missing")),
    };
    // Mail and chat programs cut long lines; nothing in an invite is a space.
    let invite: String = invite.split_whitespace().collect();
    invite.parse::<Invitation>().map_err(|error| {
        Fail::usage("this is no invite")
            .because(error)
            .hint("ask for a new one: cococtl network invite NETWORK --self, on a node that is in it")
    })?;
    let request = JoinNetwork { invite, node_name: join.node_name };
    let answer = context.client.post::<Network>("/v1/join", &request, SLOW).await?;
    context.out.answer(&answer, |network| [joined("joined", network)])?;
    status::hint_next(context, std::slice::from_ref(&answer.value), &[]);
    Ok(())
}

fn from_stdin(context: &Context) -> Result<String, Fail> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        context.out.note("paste the invite, then press Enter:");
        let mut line = String::new();
        let read = stdin.lock().take(INVITE_READ_MAX).read_line(&mut line);
        return read.map(|_| line).map_err(|error| unreadable("stdin", error));
    }
    read_bounded(stdin.lock()).map_err(|error| unreadable("stdin", error))
}

fn from_file(file: &Path) -> Result<String, Fail> {
    let name = word(&file.to_string_lossy());
    let opened = File::open(file).and_then(|file| read_bounded(BufReader::new(file)));
    opened.map_err(|error| unreadable(&name, error))
}

/// The text that `from` holds. What is too long is cut, and then no invite.
fn read_bounded(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(INVITE_READ_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(what: &str, error: io::Error) -> Fail {
    Fail::failed(format!("cannot read the invite from {what}"))
        .because(error)
        .hint("cococtl network join -, with the invite on its stdin")
}

async fn members(context: &Context, name: &Name) -> Result<(), Fail> {
    let path = format!("/v1/networks/{}/members", segment(name.as_str()));
    let answer = context.client.get::<Members>(&path).await?;
    context.out.answer(&answer, |members| members_table(members, units::now_ms()).lines())
}

fn members_table(members: &Members, now_ms: u64) -> Table {
    let mut table = Table::new(&["USER", "ROLE", "NODE", "KIND", "RESOURCES", "ONLINE", "ID"]);
    for user in &members.users {
        for node in &user.nodes {
            let seen = || node.last_seen_ms.map_or("never seen".to_owned(), |then| units::ago(then, now_ms));
            let online = match node.online {
                Some(true) => "online".to_owned(),
                Some(false) => seen(),
                None => "not asked".to_owned(),
            };
            table.row([
                user.name.to_string(),
                user.role.to_string(),
                node.name.to_string(),
                status::node_kind(node.kind).to_owned(),
                node.resources.iter().map(Name::as_str).collect::<Vec<_>>().join(","),
                online,
                node.id.clone(),
            ]);
        }
        if user.nodes.is_empty() {
            let none = String::new;
            table.row([user.name.to_string(), user.role.to_string(), none(), none(), none(), none(), none()]);
        }
    }
    table
}

fn joined(how: &str, network: &Network) -> String {
    let node = &network.node;
    format!("{how} {} as {}, {} of {}, {}", network.name, node.name, node.role, node.user, network.id)
}
