//! Changing a network's ledger, and reading it.

use coconet::control::{
    Audit, Change, Done, GrantLine, Grants, InviteLine, Invites, Log, LogLine, Network, Recover, RecoveryKey,
    VERSION,
};
use coconet::ledger::{
    Access, Checkpoint, Grant, Ledger, Op, Purpose, RemoveUser, Rename, Renamed, RevokeGrant, RevokeInvite,
    SetManagers, SetRole, archive,
};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::recovery::Recovery;

use super::jobs::Asked;
use super::{Daemon, done};
use crate::fault::{Fault, Result};
use crate::node::{Node, found, node_name};

impl Daemon {
    /// Add one entry to a network's ledger.
    pub async fn change(&self, name: &str, change: Change) -> Result<Done> {
        let node = self.node(name)?;
        let op = translate(&node, change).await?;
        let said = op.to_string();
        node.append(&op).await?;
        Ok(done(said))
    }

    /// Who was granted what.
    pub async fn grants(&self, name: &str) -> Result<Grants> {
        let node = self.node(name)?;
        node.manager().refresh().await;
        let (ledger, now) = (node.ledger(), node.now());
        let state = ledger.state();
        let lines = state.grants().iter().flat_map(|(user, grants)| {
            grants.iter().map(move |(resource, grant)| GrantLine {
                user: user.clone(),
                resource: resource.clone(),
                can: grant.can.clone(),
                when: grant.when.clone(),
                until_ms: grant.until,
                now: grant.access(now) != Access::Denied,
            })
        });
        Ok(Grants { version: VERSION, grants: lines.collect() })
    }

    /// The invites that can still be used.
    pub async fn invites(&self, name: &str) -> Result<Invites> {
        let node = self.node(name)?;
        node.manager().refresh().await;
        let (ledger, now) = (node.ledger(), node.now());
        let open =
            ledger.state().invites().iter().filter(|(_, known)| known.left > 0 && now < known.invite.expires);
        let mut invites: Vec<InviteLine> = open
            .map(|(key, known)| InviteLine {
                id: key.full(),
                purpose: purpose(&known.invite.purpose),
                only: known.invite.only.clone(),
                inviter: node_name(&ledger, known.inviter),
                left: known.left,
                expires_ms: known.invite.expires,
            })
            .collect();
        invites.sort_by_key(|line| line.expires_ms);
        Ok(Invites { version: VERSION, invites })
    }

    /// The whole ledger, told to people.
    pub async fn log(&self, name: &str) -> Result<Log> {
        let node = self.node(name)?;
        node.manager().refresh().await;
        let entries = node.book().all_entries().await?;
        let (mut lines, mut ledger): (Vec<LogLine>, Option<Ledger>) = (Vec::new(), None);
        for entry in &entries {
            let before = ledger.as_ref();
            let op = entry.draft.op();
            let author = entry.draft.header.author;
            let after = Ledger::follow_viewed(ledger.clone(), entry)?;
            // A genesis or a join is by somebody who was nobody before.
            let known = before.and_then(|ledger| ledger.state().nodes().get(&author));
            let known = known.or_else(|| after.state().nodes().get(&author)).cloned();
            lines.push(LogLine {
                seq: entry.stamp.seq,
                time_ms: entry.stamp.time,
                user: known.as_ref().map(|node| node.user.clone()),
                node: known.map(|node| node.name),
                author: author.full(),
                what: op.map(|op| told(&op, before)),
                hash: entry.hash().full(),
            });
            ledger = Some(after);
        }
        Ok(Log { version: VERSION, entries: lines })
    }

    /// How far the ledger is verified, and what is wrong.
    pub async fn audit(&self, name: &str) -> Result<Audit> {
        let node = self.node(name)?;
        node.manager().refresh().await;
        let ledger = node.ledger();
        Ok(Audit {
            version: VERSION,
            seq: ledger.seq(),
            head: ledger.head().full(),
            withheld: ledger.withheld().len() as u64,
            alarm: node.book().alarm(),
            proofs: node.book().proofs().await?,
        })
    }

    /// The ledger as a file.
    pub async fn export(&self, name: &str) -> Result<Vec<u8>> {
        let entries = self.node(name)?.book().all_bytes().await?;
        Ok(archive::write(entries.iter().map(Vec::as_slice)))
    }

    /// Add an offline owner key, and return it.
    pub async fn recovery_key(&self, name: &str) -> Result<RecoveryKey> {
        let node = self.node(name)?;
        let recovery = found::prepare_recovery(&node).await?;
        let id = recovery.keys.id();
        node.manager().catch_up().await?;
        Ok(RecoveryKey {
            version: VERSION,
            node: node_name(&node.ledger(), id),
            key: recovery.to_text().to_string(),
        })
    }

    /// Join as the owner's next app, by an offline key.
    pub async fn recover(&self, request: Recover, asked: Asked) -> Result<Network> {
        let recovery: Recovery = request.key.parse().map_err(|error: coconet::recovery::RecoveryError| {
            Fault::usage("cannot use that key").because(&error)
        })?;
        self.make_way(recovery.network).await?;
        let insist = request.node_name.is_some();
        let name = request.node_name.unwrap_or_else(|| self.own_name());
        let mut job = self.jobs.begin(recovery.network.full(), asked);
        let founded = found::recover(&recovery, &name, insist, self.uplink(), &mut job).await?;
        self.settle(founded).await
    }
}

async fn translate(node: &Node, change: Change) -> Result<Op> {
    Ok(match change {
        Change::SetRole { user, role } => Op::SetRole(SetRole { user, role }),
        Change::RemoveUser { user } => Op::RemoveUser(RemoveUser { user }),
        Change::RenameUser { user, to } => Op::Rename(Rename { what: Renamed::User(user), to }),
        Change::RenameNode { node: text, to } => {
            Op::Rename(Rename { what: Renamed::Node(node.find_node(&text).await?), to })
        }
        Change::Grant { user, resource, can, when, until_ms } => {
            if until_ms.is_some_and(|until| until <= node.now()) {
                return Err(Fault::usage("the end of the grant is in the past"));
            }
            let ledger = node.ledger();
            let usual = || {
                let known = ledger.state().resources().get(&resource)?;
                known.attributes.usual(known.kind)
            };
            let can = can.or_else(usual).ok_or_else(|| {
                Fault::not_found(format!("no resource {resource} in {}", node.name()))
                    .hint(format!("cococtl network show {}", node.name()))
            })?;
            Op::Grant(Grant { user, resource, can, when, until: until_ms })
        }
        Change::RevokeGrant { user, resource } => Op::RevokeGrant(RevokeGrant { user, resource }),
        Change::RevokeInvite { invite } => {
            let key = invite.parse().map_err(|error: coconet::id::IdError| {
                Fault::usage("not the id of an invite")
                    .because(&error)
                    .hint(format!("cococtl network invites {}", node.name()))
            })?;
            Op::RevokeInvite(RevokeInvite { key })
        }
        Change::SetManagers { managers } => {
            let parsed: std::result::Result<Vec<ManagerAddr>, _> =
                managers.iter().map(|text| text.parse::<ManagerAddr>()).collect();
            let managers = parsed.map_err(|error| Fault::usage("not a manager address").because(&error))?;
            let ledger = node.ledger();
            let now: Vec<_> = ledger.state().managers().iter().map(|manager| manager.stamp).collect();
            // After such an entry nobody could stamp the next one, not even the one that takes it back.
            if !managers.iter().any(|manager| now.contains(&manager.stamp)) {
                return Err(Fault::usage(format!(
                    "none of these is the manager of {}: their keys are others",
                    node.name()
                ))
                .hint("a manager keeps its keys when it moves: coco-manager address, where it is now"));
            }
            Op::SetManagers(SetManagers { managers })
        }
        Change::Checkpoint => Op::Checkpoint(Checkpoint { state: node.ledger().state().digest() }),
    })
}

/// An op in words, with nodes by the names they had.
fn told(op: &Op, before: Option<&Ledger>) -> String {
    let name = |id| before.map_or_else(|| Name::closest("node", "node"), |ledger| node_name(ledger, id));
    match op {
        Op::RemoveNode(op) => format!("remove node {}", name(op.node)),
        Op::Rename(Rename { what: Renamed::Node(id), to }) => format!("rename node {} to {to}", name(*id)),
        other => other.to_string(),
    }
}

fn purpose(purpose: &Purpose) -> String {
    match purpose {
        Purpose::Device { publish: true } => "device".to_owned(),
        Purpose::Device { publish: false } => "device that may not publish".to_owned(),
        Purpose::SelfApp => "own next app".to_owned(),
        Purpose::Recovery => "recovery key".to_owned(),
        Purpose::User { name, role } => format!("{name} as {role}"),
    }
}
