//! The command line: noun, then verb.

mod network;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind as Clap;
use clap::{ColorChoice, CommandFactory, Parser, Subcommand, ValueEnum};
use coconet::calendar::Month;
use coconet::id::NodeId;
use coconet::listen::Listen;
use coconet::name::{Name, NameError};
use coconet::path_mode::PathMode;

use crate::fail::Fail;
use crate::print::Printer;
use crate::{complete, duration};

pub(crate) use network::{Apply, Grant, Instead, Invite, InviteRef, Join, Network, Prune, Recover};

const AFTER: &str = "\
Examples:
  $ cococtl network create home --manager mgr1...@manager.example:4433
  $ cococtl network invite home --device
  $ cococtl --app camera network join -
  $ cococtl --app camera tunnel expose rtsp://192.168.1.20/stream1 --name front-door
  $ cococtl tunnel open front-door
  $ cococtl network grant home bob front-door --can play

Environment:
  COCO_APP     the app, where --app is not given
  COCO_SOCKET  the socket, where neither --socket nor --app is given

Exit status:
  0  it worked
  1  it failed, or the answer is no
  2  the command line makes no sense
  3  the daemon cannot be reached
  4  not permitted, also to talk to the daemon: it answers its own user only
  5  there is no such thing
  6  no answer in time, or the peer is offline
  7  a quota is used up
  8  no longer a member of the network
  9  it would change something: network apply --dry-run
  130  Ctrl-C; what is said then is how things stand";

const GLOBAL: &str = "Global options";

/// Drive a coco daemon over its control socket
#[derive(Parser)]
#[command(name = "cococtl", version, propagate_version = true)]
#[command(after_help = AFTER, color = ColorChoice::Never)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print the daemon's answer as JSON, one line each
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Which daemon is meant.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Talk to the daemon of this app [default: default]
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL)]
    #[arg(add = complete::apps())]
    pub(crate) app: Option<Name>,
    /// Talk to the daemon behind this control socket
    #[arg(long, global = true, value_name = "PATH", help_heading = GLOBAL)]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Found and join networks, and say who may do what in them
    #[command(subcommand, arg_required_else_help = true)]
    Network(Network),
    /// Manage the nodes of a network
    #[command(subcommand, arg_required_else_help = true)]
    Node(Node),
    /// Expose resources, and open those of others
    #[command(subcommand, arg_required_else_help = true)]
    Tunnel(Tunnel),
    /// Show the daemon, its networks, peers and tunnels
    #[command(after_help = "\
Examples:
  $ cococtl status
  $ cococtl status --watch --json | jq -r '.networks[].manager.state'")]
    Status(Watch),
    /// Show the nodes that this one is connected to, and how
    #[command(after_help = "\
Examples:
  $ cococtl peers
  $ cococtl peers home --json | jq -r '.peers[] | select(.path | startswith(\"relay\")) | .name'")]
    Peers {
        /// The network [default: all of them]
        #[arg(add = complete::networks())]
        network: Option<Name>,
        #[command(flatten)]
        watch: Watch,
    },
    /// Show what has happened
    #[command(after_help = "\
The daemon keeps its last 256 events while it runs. With --json each is a line.

Examples:
  $ cococtl events
  $ cococtl events --follow --kind peer-connected peer-lost
  $ cococtl events --follow --json | jq -r .message")]
    Events(Events),
    /// Watch networks, peers, tunnels and the relay on the whole terminal
    #[command(after_help = "\
? shows the keys. NO_COLOR=1 draws without colours.

Examples:
  $ cococtl dashboard
  $ cococtl --app camera dashboard")]
    Dashboard,
    /// Measure the round trip to a node
    #[command(after_help = "\
Examples:
  $ cococtl ping front-door-camera
  $ cococtl ping n:... -c 1 --network home")]
    Ping(Ping),
    /// Examine what stands between this node and the others
    #[command(after_help = "\
Each check is ok, warning, failed or unknown, with what it means and what can be done. NATs are named as
in RFC 4787. Nobody is asked but the network's own manager. Exit status 1: something has failed.

Examples:
  $ cococtl doctor
  $ cococtl doctor home --json | jq -r '.networks[].checks[] | select(.status != \"ok\") | .check'")]
    Doctor {
        /// The network [default: all of them]
        #[arg(add = complete::networks())]
        network: Option<Name>,
    },
    /// Show what the relay has carried, against what it may
    #[command(after_help = "\
The manager counts what goes through its relay, in months of UTC; direct paths cost nothing. Owners and
admins see the whole network, guests their own nodes, a device itself.

Examples:
  $ cococtl usage
  $ cococtl usage home --month 2026-07
  $ cococtl usage home --json | jq '.used / .limit'")]
    Usage {
        /// The network [default: all of them]
        #[arg(add = complete::networks())]
        network: Option<Name>,
        /// The month [default: this one]
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<Month>,
    },
    /// Run a program that sees the resources of a network, and nothing else
    #[command(override_usage = "\
cococtl run [OPTIONS] <NETWORK> [--resource <RESOURCE>...] -- <COMMAND> [ARGUMENT]...
       cococtl run [OPTIONS] <NETWORK> [--resource <RESOURCE>...] --shell")]
    #[command(after_help = "\
Inside, each resource has an address and the name RESOURCE.NETWORK.coco, at the port that its protocol has:
http 80, mqtt 1883, rtsp 554, others that of the target. There is no other network, and nobody outside reaches
what listens inside. /etc/hosts lists what there is. The exit status is the command's: 126 when it cannot be
started, 127 when it is not there, 128 and the number of the signal that ended it.

Examples:
  $ cococtl run home -- ffplay rtsp://front-door.home.coco/stream1
  $ cococtl run home --resource nas -- curl http://nas.home.coco/
  $ cococtl run --ip home -- ping boat-ip.home.coco
  $ cococtl run home --shell")]
    Run(Run),
    /// Wait for the daemon to be ready
    #[command(after_help = "\
When the time is over: exit status 3 without a daemon, 6 with a network that is not online.

Examples:
  $ cococtl wait --online --timeout 10s && cococtl tunnel open front-door")]
    Wait(Wait),
    /// Print a completion script
    #[command(after_help = "\
Examples:
  $ cococtl completions bash > ~/.local/share/bash-completion/completions/cococtl")]
    Completions {
        /// The shell to print it for
        shell: Shell,
    },
}

#[derive(Subcommand)]
pub(crate) enum Node {
    /// Remove a node from a network
    #[command(after_help = "Examples:\n  $ cococtl node remove home old-laptop")]
    Remove {
        /// The network
        #[arg(add = complete::networks())]
        network: Name,
        /// The node, by name or whole id
        #[arg(add = complete::nodes())]
        node: NodeRef,
    },
    /// Call a node something else
    #[command(after_help = "Examples:\n  $ cococtl node rename home n:... hall-camera")]
    Rename {
        /// The network
        #[arg(add = complete::networks())]
        network: Name,
        /// The node, by name or whole id
        #[arg(add = complete::nodes())]
        node: NodeRef,
        /// Its new name
        #[arg(value_name = "NEWNAME")]
        to: Name,
    },
}

#[derive(Subcommand)]
pub(crate) enum Tunnel {
    /// Offer a service as a resource of a network
    #[command(override_usage = "\
cococtl tunnel expose [OPTIONS] --name <NAME> <URL>
       cococtl tunnel expose --discover")]
    #[command(after_help = "\
A URL is one of tcp://HOST:PORT, udp://HOST:PORT, tcp+udp://HOST:PORT, http://HOST[:PORT]/PATH,
rtsp://HOST[:PORT]/PATH, mqtt://HOST[:PORT], unix:///PATH. The host is known to this node only,
and so is the port, but for tcp and udp. Or it
is ip: for packets to this node's own address, where the daemon has a network interface.

A login file holds USER:PASSWORD, or the two on a line each, and is readable by its owner only. The
daemon keeps the login and uses it towards the target; whoever opens the resource never learns it.

Examples:
  $ cococtl tunnel expose rtsp://192.168.1.20/stream1 --name front-door --login-file camera.login
  $ cococtl tunnel expose tcp://localhost:22 --name ssh --network home
  $ cococtl tunnel expose tcp+udp://192.168.1.1:53 --name dns --max-clients 20
  $ cococtl tunnel expose --discover")]
    Expose(Expose),
    /// Open a resource and print its local URL
    #[command(after_help = "\
The URL alone goes to stdout. The tunnel stays until it is closed, over restarts of the daemon too.

Examples:
  $ ffplay \"$(cococtl tunnel open front-door)\"
  $ cococtl tunnel open ssh --listen 127.0.0.1:2222
  $ cococtl tunnel open web --listen unix:/run/user/1000/coco/default/web.sock
  $ curl --unix-socket /run/user/1000/coco/default/web.sock http://localhost/")]
    Open {
        /// The resource
        #[arg(add = complete::foreign_resources())]
        resource: Name,
        /// The network, where there is more than one
        #[arg(long, value_name = "NAME")]
        #[arg(add = complete::networks())]
        network: Option<Name>,
        /// Where to listen [default: a free port of 127.0.0.1]
        #[arg(long, value_name = "IP:PORT|unix:PATH")]
        listen: Option<Listen>,
        /// How long to wait for the node that offers it
        #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration::parse)]
        timeout: Duration,
        /// Which ways its packets may take
        #[arg(long, value_name = "PATH", default_value = "direct-first", value_parser = path_modes())]
        path: PathMode,
        /// Which applications may use it: uid:USER, gid:GROUP, exe:/PATH, unit:NAME [default: as the
        /// daemon's configuration says, or its own user]
        #[arg(long, value_name = "RULE", num_args = 1..)]
        allow: Vec<String>,
        /// Let other machines use it, on an address that is not loopback
        #[arg(long, requires = "listen", conflicts_with = "allow")]
        public: bool,
    },
    /// List what is exposed and opened here
    List(Watch),
    /// Close a tunnel: stop listening, or stop offering
    Close {
        /// The resource, or the tunnel's id as tunnel list shows it
        #[arg(value_name = "RESOURCE|ID")]
        #[arg(add = complete::tunnels())]
        tunnel: Name,
        /// The network, where there is more than one
        #[arg(long, value_name = "NAME")]
        #[arg(add = complete::networks())]
        network: Option<Name>,
    },
}

#[derive(clap::Args)]
pub(crate) struct Expose {
    /// The service
    #[arg(required_unless_present = "discover")]
    pub(crate) url: Option<String>,
    /// The name of the resource
    #[arg(long, required_unless_present = "discover")]
    pub(crate) name: Option<Name>,
    /// The network, where there is more than one
    #[arg(long, value_name = "NAME")]
    #[arg(add = complete::networks())]
    pub(crate) network: Option<Name>,
    /// What a grant gives that names nothing [default: everything]
    #[arg(long, value_name = "CAPABILITY", num_args = 1..)]
    #[arg(add = complete::capabilities())]
    pub(crate) can: Vec<String>,
    /// The target's user and password, for http, rtsp and mqtt; - is stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) login_file: Option<PathBuf>,
    /// How many clients at a time, of all who open it [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_clients: Option<u32>,
    /// rtsp: let all viewers share one session with the camera
    #[arg(long)]
    pub(crate) share: bool,
    /// http: what the target reads as its Host [default: its host and port]
    #[arg(long, value_name = "HOST")]
    pub(crate) host_header: Option<String>,
    /// mqtt: make the client ids of different nodes distinct
    #[arg(long)]
    pub(crate) client_id_suffix: bool,
    /// Expose nothing: list the ONVIF cameras on the LAN with the URLs of their streams
    #[arg(long, conflicts_with_all = [
        "url", "name", "network", "can", "max_clients", "share", "host_header", "client_id_suffix"
    ])]
    pub(crate) discover: bool,
}

#[derive(clap::Args)]
pub(crate) struct Ping {
    /// The node, by name or whole id
    #[arg(add = complete::nodes())]
    pub(crate) node: NodeRef,
    /// The network, where there is more than one
    #[arg(long, value_name = "NAME")]
    #[arg(add = complete::networks())]
    pub(crate) network: Option<Name>,
    /// How often [default: until an answer comes directly, at most 10 times]
    #[arg(short, long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// How long to wait for each answer
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Watch {
    /// Show it again and again, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
    /// How often
    #[arg(long, value_name = "DURATION", default_value = "1s", requires = "watch", value_parser = duration::parse)]
    pub(crate) interval: Duration,
}

#[derive(clap::Args)]
pub(crate) struct Events {
    /// Wait for what happens next, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// In this network only
    #[arg(long, value_name = "NAME")]
    #[arg(add = complete::networks())]
    pub(crate) network: Option<Name>,
    /// Of these kinds only
    #[arg(long, value_name = "KIND", num_args = 1..)]
    pub(crate) kind: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct Run {
    /// The network
    #[arg(add = complete::networks())]
    pub(crate) network: Name,
    /// Only these resources [default: all that may be used]
    #[arg(long, value_name = "RESOURCE", num_args = 1..)]
    #[arg(add = complete::foreign_resources())]
    pub(crate) resource: Vec<Name>,
    /// Reach other nodes by their own addresses as well, over an interface: those that expose ip:
    #[arg(long, conflicts_with = "resource")]
    pub(crate) ip: bool,
    /// Run a shell: $SHELL, or /bin/sh
    #[arg(long, conflicts_with = "command")]
    pub(crate) shell: bool,
    /// The program, and its arguments
    #[arg(last = true, required_unless_present = "shell", value_name = "COMMAND")]
    #[arg(value_hint = clap::ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
}

#[derive(clap::Args)]
pub(crate) struct Wait {
    /// Until the networks are in touch with their managers
    #[arg(long, required = true)]
    pub(crate) online: bool,
    /// For this network only
    #[arg(long, value_name = "NAME")]
    #[arg(add = complete::networks())]
    pub(crate) network: Option<Name>,
    /// How long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

/// A shell we print completions for.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// A node as people name it.
#[derive(Clone)]
pub(crate) struct NodeRef(String);

impl NodeRef {
    /// The name or the whole id.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("n:") {
            let id: NodeId =
                text.parse().map_err(|_| "a node is named by its name or by its whole id".to_owned())?;
            return Ok(Self(id.full()));
        }
        text.parse().map(|name: Name| Self(name.into())).map_err(|error: NameError| error.to_string())
    }
}

fn path_modes() -> impl TypedValueParser<Value = PathMode> {
    PossibleValuesParser::new(PathMode::ALL.map(PathMode::as_str)).try_map(|text| text.parse::<PathMode>())
}

/// The command line, parsed; `None` where it asked for help or the version, which are printed here.
pub(crate) fn parse(words: &[OsString]) -> Result<Option<Args>, Fail> {
    match Args::try_parse_from(words) {
        Ok(args) => Ok(Some(args)),
        Err(told) if matches!(told.kind(), Clap::DisplayHelp | Clap::DisplayVersion) => {
            Printer { json: false }.verbatim(&told.to_string())?;
            Ok(None)
        }
        Err(error) => Err(refused(&error, words)),
    }
}

/// What clap refused, in the shape of all our errors.
fn refused(error: &clap::Error, words: &[OsString]) -> Fail {
    let hint = format!("{} --help", command_of(words));
    if error.kind() == Clap::DisplayHelpOnMissingArgumentOrSubcommand {
        let help = error.to_string().lines().map(str::to_owned).collect();
        return Fail::usage("a command is missing").usage_lines(help).hint(hint);
    }
    let mut text = error.to_string();
    for secret in words.iter().filter_map(|word| word.to_str()).filter(|word| maybe_secret(word)) {
        text = text.replace(secret, "...");
    }
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let message = lines.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message).to_owned();
    Fail::usage(message).usage_lines(lines.map(str::to_owned).collect()).hint(hint)
}

/// Whether a word may be an invite, a piece of one that was cut by a line end, or a URL with a login:
/// clap would repeat it where it stands in the wrong place.
fn maybe_secret(word: &str) -> bool {
    let base32 =
        word.len() >= 16 && word.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'2'..=b'7'));
    let invite = word.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("coco")) && word.len() >= 16;
    let login = word.contains("://") && word.contains('@');
    base32 || invite || login
}

/// The longest beginning of the command line that is a command.
fn command_of(words: &[OsString]) -> String {
    let mut command = &Args::command();
    let mut name = command.get_name().to_owned();
    for word in words.iter().skip(1).filter_map(|word| OsStr::to_str(word)) {
        let Some(found) = command.find_subcommand(word) else { continue };
        name = format!("{name} {word}");
        command = found;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        for word in
            ["coco1abcdefghijklmnop", "COCO1ABCDEFGHIJKLMNOP", "abcdefghijklmnop234567", "rtsp://a:b@cam/"]
        {
            assert!(maybe_secret(word), "{word}");
        }
        for word in ["coco", "network", "front-door-camera-2", "rtsp://cam/"] {
            assert!(!maybe_secret(word), "{word}");
        }
    }
}
