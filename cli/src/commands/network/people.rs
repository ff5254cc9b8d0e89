//! Who is in a network, what they may do, and what a guest was granted.

use std::time::Duration;

use coconet::control::{Change, Grants, MemberNode, Members, VERSION};
use coconet::grant::Capabilities;
use coconet::ledger::NodeKind;
use coconet::name::Name;
use coconet::role::{Role, TABLE};
use serde::Serialize;

use crate::args;
use crate::commands::{Context, change_and_tell, network_path, status};
use crate::duration;
use crate::fail::Fail;
use crate::print::Printer;
use crate::table::Table;
use crate::units;

/// The column of nodes' own addresses.
const ADDRESS: usize = 5;

/// Not seen for so long, a node is shown as stale.
const STALE: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) async fn members(context: &Context, name: &Name) -> Result<(), Fail> {
    let now = units::now_ms();
    let answer = context.client.get::<Members>(&network_path(name, "members")).await?;
    context.out.answer(&answer, |members| table(members, now).lines())?;
    if answer.value.users.iter().flat_map(|user| &user.nodes).any(|node| unseen(node, STALE, now)) {
        let span = duration::text(STALE);
        context.out.hint(&format!("{} network prune {name} --unseen {span} --dry-run", context.me()));
    }
    Ok(())
}

/// Whether nobody has seen a node for so long, as far as the manager says. A recovery key is never seen.
pub(super) fn unseen(node: &MemberNode, span: Duration, now_ms: u64) -> bool {
    let long_ago = |then| units::since(then, now_ms) >= span;
    node.kind != NodeKind::Recovery && node.online == Some(false) && node.last_seen_ms.is_some_and(long_ago)
}

fn table(members: &Members, now_ms: u64) -> Table {
    // Few networks have any.
    let addresses = members.users.iter().flat_map(|user| &user.nodes).any(|node| node.address.is_some());
    let columns = |row: [String; 8]| {
        let shown = move |(at, cell)| (at != ADDRESS || addresses).then_some(cell);
        row.into_iter().enumerate().filter_map(shown)
    };
    let heading = ["USER", "ROLE", "NODE", "KIND", "RESOURCES", "ADDRESS", "ONLINE", "ID"];
    let heading: Vec<String> = columns(heading.map(str::to_owned)).collect();
    let mut table = Table::new(&heading.iter().map(String::as_str).collect::<Vec<_>>());
    for user in &members.users {
        for node in &user.nodes {
            table.row(columns([
                user.name.to_string(),
                user.role.to_string(),
                node.name.to_string(),
                status::with_scope(status::node_kind(node.kind).to_owned(), node.only.as_ref()),
                node.resources.iter().map(Name::as_str).collect::<Vec<_>>().join(","),
                node.address.map(|address| address.to_string()).unwrap_or_default(),
                seen(node, now_ms),
                node.id.clone(),
            ]));
        }
        if user.nodes.is_empty() {
            let mut row = [const { String::new() }; 8];
            [row[0], row[1]] = [user.name.to_string(), user.role.to_string()];
            table.row(columns(row));
        }
    }
    table
}

fn seen(node: &MemberNode, now_ms: u64) -> String {
    match (node.online, node.last_seen_ms) {
        (Some(true), _) => "online".to_owned(),
        (Some(false), Some(then)) if unseen(node, STALE, now_ms) => {
            format!("stale, {}", units::ago(then, now_ms))
        }
        (Some(false), Some(then)) => units::ago(then, now_ms),
        (Some(false), None) => "never seen".to_owned(),
        (None, _) => "not asked".to_owned(),
    }
}

pub(super) async fn grant(context: &Context, grant: args::Grant) -> Result<(), Fail> {
    let can = (!grant.can.is_empty()).then(|| Capabilities::new(grant.can)).transpose().map_err(|error| {
        Fail::usage("this cannot be granted")
            .because(error)
            .hint(format!("{} network grant --help lists what can", context.me()))
    })?;
    let args::Grant { name, user, resource, when, until, .. } = grant;
    change_and_tell(context, &name, &Change::Grant { user, resource, can, when, until_ms: until }).await
}

pub(super) async fn grants(context: &Context, name: &Name) -> Result<(), Fail> {
    let answer = context.client.get::<Grants>(&network_path(name, "grants")).await?;
    context.out.answer(&answer, |grants| {
        let mut table = Table::new(&["USER", "RESOURCE", "CAN", "WHEN", "UNTIL", "NOW"]);
        for grant in &grants.grants {
            table.row([
                grant.user.to_string(),
                grant.resource.to_string(),
                grant.can.to_string(),
                grant.when.as_ref().map_or("always".to_owned(), ToString::to_string),
                grant.until_ms.map_or("for ever".to_owned(), units::date),
                if grant.now { "yes" } else { "no" }.to_owned(),
            ]);
        }
        table.lines()
    })?;
    if answer.value.grants.is_empty() {
        context.out.hint(&format!("{} network grant {name} USER RESOURCE --can CAPABILITY", context.me()));
    }
    Ok(())
}

/// The table of roles, as it is in this version of coco.
#[derive(Serialize)]
struct Roles {
    version: u32,
    actions: Vec<Action>,
}

#[derive(Serialize)]
struct Action {
    action: &'static str,
    roles: &'static [Role],
}

pub(super) fn roles(out: Printer) -> Result<(), Fail> {
    let actions = TABLE.iter().map(|(_, action, roles)| Action { action, roles });
    out.own(Roles { version: VERSION, actions: actions.collect() }, |_| {
        let mut table = Table::new(&["OWNER", "ADMIN", "GUEST", "MAY"]);
        for (_, action, roles) in TABLE {
            let cell = |role| if roles.contains(&role) { "yes".to_owned() } else { String::new() };
            let [owner, admin, guest] = [Role::Owner, Role::Admin, Role::Guest].map(cell);
            table.row([owner, admin, guest, (*action).to_owned()]);
        }
        table.lines()
    })
}
