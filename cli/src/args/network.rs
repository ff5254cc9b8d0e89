//! `network`: its verbs, the network's name first in each.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Subcommand, ValueEnum};
use coconet::grant::Schedule;
use coconet::id::InviteKey;
use coconet::name::Name;
use coconet::role::Role;
use coconet::scope::ScopeWord;

use crate::{complete, duration, until};

#[derive(Subcommand)]
pub(crate) enum Network {
    /// Found a network, owned by you
    #[command(after_help = "\
Examples:
  $ cococtl network create home --manager mgr1...@manager.example:4433 --user alice")]
    Create {
        /// The name of the network
        name: Name,
        /// The manager, as coco-manager init printed it
        #[arg(long, value_name = "MGRADDR")]
        manager: String,
        /// Your name in it [default: owner]
        #[arg(long, value_name = "NAME")]
        user: Option<Name>,
        /// The name of this node [default: from the host's name]
        #[arg(long, value_name = "NAME")]
        node_name: Option<Name>,
    },
    /// List the networks this daemon has joined
    List,
    /// Show one network
    Show {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
    /// Leave a network, removing this node from it
    Leave {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// Delete keys and ledger here even if the manager cannot be told
        #[arg(long)]
        forget: bool,
    },
    /// Make an invite and print it
    Invite(Invite),
    /// List the invites that can still be used
    #[command(after_help = "Examples:\n  $ cococtl network invites home")]
    Invites {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
    /// Revoke an invite
    #[command(after_help = "Examples:\n  $ cococtl network revoke-invite home i:...")]
    RevokeInvite {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// The invite's whole id, as network invites shows it
        #[arg(value_name = "ID", add = complete::invites())]
        invite: InviteRef,
    },
    /// Join a network by an invite
    #[command(
        override_usage = "cococtl network join [OPTIONS] <INVITE|-|--file FILE>",
        after_help = "Arguments of a command are seen by everybody on the machine: prefer - or --file.\n\n\
                      Examples:\n  $ cococtl network join - --node-name laptop < invite.txt"
    )]
    Join(Join),
    /// List the people of a network and their nodes
    #[command(after_help = "A node that nobody has seen for 30 days is stale; see network prune.")]
    Members {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
    /// Change what a person is: owner, admin or guest
    #[command(after_help = "\
What each role may do: cococtl network roles

Examples:
  $ cococtl network role home bob admin")]
    Role {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// The person
        #[arg(add = complete::people())]
        user: Name,
        /// owner, admin or guest
        #[arg(add = complete::roles())]
        role: Role,
    },
    /// Remove a person with all their nodes
    #[command(after_help = "\
One node alone: cococtl node remove NETWORK NODE

Examples:
  $ cococtl network remove home bob")]
    Remove {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// The person
        #[arg(add = complete::people())]
        user: Name,
    },
    /// Call a person something else
    #[command(after_help = "Examples:\n  $ cococtl network rename home bob robert")]
    Rename {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// The person
        #[arg(add = complete::people())]
        user: Name,
        /// Their new name
        #[arg(value_name = "NEWNAME")]
        to: Name,
    },
    /// Let a guest use a resource, instead of what they were granted of it before
    Grant(Grant),
    /// Take a grant back; what is open by it is cut
    #[command(after_help = "Examples:\n  $ cococtl network revoke home bob front-door")]
    Revoke {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// The guest
        #[arg(add = complete::people())]
        user: Name,
        /// The resource
        #[arg(add = complete::resources())]
        resource: Name,
    },
    /// List the grants
    Grants {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
    /// Make roles, resources and grants what a file says
    Apply(Apply),
    /// Remove nodes that nobody has seen for long
    Prune(Prune),
    /// Show who may do what
    Roles,
    /// Tell the network's history: who did what when
    Log {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
    /// Check what the managers have shown, and print the proof of what is wrong
    #[command(after_help = "\
Exit status 1 when something is wrong. The proofs are checked here, without the daemon; --json
holds them whole, for whoever wants to check them again.

Examples:
  $ cococtl network audit home")]
    Audit {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
    /// Write the whole ledger to a file
    #[command(after_help = "\
A guest's ledger has entries whose content is left out.

Examples:
  $ cococtl network export home --output home.ledger
  $ cococtl network export home | ssh backup 'cat > home.ledger'")]
    Export {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// Where to; - is stdout
        #[arg(long, value_name = "FILE", default_value = "-", value_hint = clap::ValueHint::FilePath)]
        output: PathBuf,
    },
    /// Verify an exported ledger, without a daemon
    #[command(after_help = "\
Every signature, stamp and right is checked, from the first entry to the last. That nothing
follows the last is for the head to tell: compare it with what network audit shows on a member.

Examples:
  $ cococtl network verify home.ledger")]
    Verify {
        /// The file; - is stdin
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        /// Take a guest's ledger, in which the content of some entries is left out
        #[arg(long)]
        guest: bool,
    },
    /// Make an offline key of the owner's and print it
    #[command(after_help = "\
The key alone goes to stdout, once: it is kept nowhere. Whoever has it is the owner. It is a
node of the network, and can be removed like one.

Examples:
  $ cococtl network recovery-key home | lp")]
    RecoveryKey {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
    /// Come back as the owner with a recovery key
    #[command(
        override_usage = "cococtl network recover [OPTIONS] <KEY|-|--file FILE>",
        after_help = "Arguments of a command are seen by everybody on the machine: prefer - or --file.\n\n\
                      Examples:\n  $ cococtl network recover - --node-name laptop"
    )]
    Recover(Recover),
    /// Say which managers may stamp from now on
    #[command(after_help = "\
The list replaces the one before: name the managers that stay, too.

Examples:
  $ cococtl network managers home mgr1...@manager.example:4433 mgr1...@other.example:4433")]
    Managers {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
        /// The managers, as coco-manager init printed them
        #[arg(value_name = "MGRADDR", required = true, num_args = 1..)]
        managers: Vec<String>,
    },
    /// Vouch for the network's state so far
    Checkpoint {
        /// The network
        #[arg(add = complete::networks())]
        name: Name,
    },
}

#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("as").required(true).args(["device", "self_app", "user", "instead"]),
    override_usage = "cococtl network invite [OPTIONS] <NAME> <--device|--self|--user <NAME> --role <ROLE>>\n       \
                      cococtl network invite <NAME> list\n       \
                      cococtl network invite <NAME> revoke <ID>",
    after_help = "The invite alone goes to stdout. It is a secret: whoever has it can join.\n\n\
                  Examples:\n  $ cococtl network invite home --device\n  \
                  $ cococtl network invite home --user bob --role guest --expires 12h --qr\n  \
                  $ cococtl network invite home --self --only rtsp,front-page"
)]
pub(crate) struct Invite {
    /// The network
    #[arg(add = complete::networks())]
    pub(crate) name: Name,
    /// Make none: list those that can be used, or revoke one, as invites and revoke-invite do
    #[arg(
        value_name = "ACTION",
        conflicts_with_all = ["no_publish", "role", "only", "uses", "expires", "node_name", "qr"]
    )]
    pub(crate) instead: Option<Instead>,
    /// The whole id of the invite to revoke
    #[arg(value_name = "ID", requires = "instead", required_if_eq("instead", "revoke"), add = complete::invites())]
    pub(crate) id: Option<InviteRef>,
    /// Invite a device of yours
    #[arg(long)]
    pub(crate) device: bool,
    /// Do not let the device publish resources of its own
    #[arg(long, requires = "device", conflicts_with_all = ["self_app", "user"])]
    pub(crate) no_publish: bool,
    /// Invite your next app
    #[arg(long = "self")]
    pub(crate) self_app: bool,
    /// Invite an app of this person
    #[arg(long, value_name = "NAME", requires = "role")]
    #[arg(add = complete::people())]
    pub(crate) user: Option<Name>,
    /// What that person may do: admin or guest
    #[arg(long, requires = "user", conflicts_with_all = ["device", "self_app"], value_parser = invited_role)]
    #[arg(add = complete::roles())]
    pub(crate) role: Option<Role>,
    /// Let the app use only these: kinds (rtsp) and resources (front-door), separated by commas
    #[arg(long, value_name = "KIND|RESOURCE", value_delimiter = ',', conflicts_with = "device")]
    pub(crate) only: Vec<ScopeWord>,
    /// How often it can be used
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) uses: u32,
    /// For how long: 30s, 5m, 12h, 7d, 2w
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration::parse)]
    pub(crate) expires: Duration,
    /// The name of the node that joins
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<Name>,
    /// Draw it on stderr as a QR code, too
    #[arg(long)]
    pub(crate) qr: bool,
}

/// What `invite` does instead of making one.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Instead {
    List,
    Revoke,
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("from").required(true).args(["invite", "file"]))]
pub(crate) struct Join {
    /// The invite, coco1..., or - to read it from stdin
    #[arg(value_name = "INVITE")]
    pub(crate) invite: Option<String>,
    /// Read the invite from this file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// The name of this node [default: from the invite or the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<Name>,
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("from").required(true).args(["key", "file"]))]
pub(crate) struct Recover {
    /// The key, cocorec1..., or - to read it from stdin
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Read the key from this file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// The name of this node [default: from the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<Name>,
}

#[derive(clap::Args)]
#[command(after_help = GRANT_HELP)]
pub(crate) struct Grant {
    /// The network
    #[arg(add = complete::networks())]
    pub(crate) name: Name,
    /// The guest
    #[arg(add = complete::people())]
    pub(crate) user: Name,
    /// The resource
    #[arg(add = complete::resources())]
    pub(crate) resource: Name,
    /// What they may do with it [default: what its exporter says is usual, or everything]
    #[arg(long, value_name = "CAPABILITY", num_args = 1..)]
    #[arg(add = complete::capabilities())]
    pub(crate) can: Vec<String>,
    /// At which hours of the week, in which time zone [default: always]
    #[arg(long, value_name = "SCHEDULE")]
    pub(crate) when: Option<Schedule>,
    /// Until when: a date, whose first moment in UTC is the end, or a time with its offset
    #[arg(long, value_name = "TIME", value_parser = until::parse)]
    pub(crate) until: Option<u64>,
}

/// A unit test holds the list against the capabilities that there are.
const GRANT_HELP: &str = "\
Capabilities, by kind of resource:
  tcp   connect exchange
  udp   exchange
  http  read write
  rtsp  play record talk
  mqtt  publish subscribe
  ip    connect
One with an argument is written read:/snapshot.

Examples:
  $ cococtl network grant home bob front-door --can play talk
  $ cococtl network grant home bob front-door --can play --when \"Tue,Fri 09:00-12:00 Europe/Berlin\"
  $ cococtl network grant home bob front-door --can play --until 2027-01-01
  $ cococtl network grant home bob front-door --can play --until 2026-12-31T18:00:00+01:00";

#[derive(clap::Args)]
#[command(after_help = "\
network.example.toml, which comes with coco, explains the file. One line tells each change: a +
adds, a - takes away, a ~ changes. Where there is nothing to do it prints \"no changes\".

Exit status 9 when a --dry-run has found something to change; 1 when the network is not what the
file says because somebody has not joined, or a resource is not offered: stderr says which, and
what to do about it.

Examples:
  $ cococtl network apply home.toml --dry-run
  $ cococtl network apply home.toml")]
pub(crate) struct Apply {
    /// The file; - is stdin
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Change nothing, print what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove people who are not in the file, as `remove = true` in it does
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
The manager says when a node was last seen. This daemon's own node, nodes it is connected to now,
nodes that were never seen, and recovery keys are kept; so are devices, unless --devices is given,
because their resources and the grants of these go with them.

Examples:
  $ cococtl network prune home --unseen 90d --dry-run
  $ cococtl network prune home --unseen 90d --yes")]
pub(crate) struct Prune {
    /// The network
    #[arg(add = complete::networks())]
    pub(crate) name: Name,
    /// For how long nobody has seen them: 30d, 12w
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) unseen: Duration,
    /// Remove devices, too
    #[arg(long)]
    pub(crate) devices: bool,
    /// Remove nothing, list them
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// An invite by its whole id.
#[derive(Clone)]
pub(crate) struct InviteRef(InviteKey);

impl InviteRef {
    /// The whole id.
    pub(crate) fn full(&self) -> String {
        self.0.full()
    }
}

impl FromStr for InviteRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hint = "an invite is named by its whole id, i:..., as network invites shows it";
        text.parse().map(Self).map_err(|_| hint)
    }
}

fn invited_role(text: &str) -> Result<Role, String> {
    match text.parse() {
        Ok(role @ (Role::Admin | Role::Guest)) => Ok(role),
        Ok(Role::Owner) => Err("an invite makes nobody an owner: admin or guest".to_owned()),
        Err(error) => Err(format!("{error}, and an invite is for an admin or a guest")),
    }
}

#[cfg(test)]
mod tests {
    use coconet::resource::Kind;

    use super::*;

    #[test]
    fn the_help_of_grant_lists_every_capability_of_every_kind() {
        let listed: Vec<&str> =
            GRANT_HELP.lines().skip(1).map_while(|line| line.strip_prefix("  ")).collect();
        let kinds = Kind::ALL.map(|kind| format!("{:<4}  {}", kind.as_str(), kind.capabilities().join(" ")));
        assert_eq!(listed, kinds);
    }
}
