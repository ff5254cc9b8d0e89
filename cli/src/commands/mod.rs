//! The commands, a module per noun.

mod completions;
mod network;
mod node;
mod ping;
mod status;
mod tunnel;
mod wait;

use coconet::name::Name;

use crate::args::{Args, Command};
use crate::client::{Client, segment};
use crate::fail::Fail;
use crate::place::Place;
use crate::print::Printer;

/// What every command has: the daemon, and the way out.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) out: Printer,
}

impl Context {
    /// How a hint begins: `cococtl` with the options of this call.
    pub(crate) fn me(&self) -> &str {
        &self.client.place.me
    }
}

/// Runs one command line to its end.
pub(crate) async fn run(args: Args) -> Result<(), Fail> {
    let out = Printer { json: args.json };
    if let Some(Command::Completions { shell }) = args.command {
        return completions::print(out, shell);
    }
    let context = Context { client: Client { place: Place::find(&args.which)? }, out };
    match args.command {
        None => status::overview(&context).await,
        Some(Command::Status) => status::run(&context).await,
        Some(Command::Network(command)) => network::run(&context, command).await,
        Some(Command::Node(command)) => node::run(&context, command).await,
        Some(Command::Tunnel(command)) => tunnel::run(&context, command).await,
        Some(Command::Ping(ping)) => ping::run(&context, &ping).await,
        Some(Command::Wait(wait)) => wait::run(&context, &wait).await,
        Some(Command::Completions { shell }) => completions::print(out, shell),
    }
}

/// `?network=NAME`, where a network was named.
fn network_query(network: Option<&Name>) -> String {
    network.map_or_else(String::new, |name| format!("?network={}", segment(name.as_str())))
}
