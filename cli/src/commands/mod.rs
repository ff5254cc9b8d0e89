//! The commands, a module per noun.

mod completions;
mod doctor;
mod events;
mod network;
mod node;
mod peers;
mod ping;
mod run;
pub(crate) mod status;
pub(crate) mod tunnel;
pub(crate) mod usage;
mod wait;
mod watch;

use std::cell::RefCell;
use std::process::ExitCode;

use coconet::control::{Change, Done};
use coconet::name::Name;

use crate::args::{Args, Command};
use crate::client::{Answer, Client, SLOW, segment};
use crate::dashboard;
use crate::fail::Fail;
use crate::interrupt::{UnderWay, unless_interrupted};
use crate::line::Line;
use crate::place::Place;
use crate::print::Printer;

/// What every command has: the daemon, and the way out.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) out: Printer,
    /// What an interruption would interrupt.
    pub(crate) under_way: RefCell<UnderWay>,
}

impl Context {
    /// How a hint begins: `cococtl` with the options of this call.
    pub(crate) fn me(&self) -> &str {
        &self.client.place.me
    }

    /// From here on `what` is under way.
    fn begin(&self, what: UnderWay) {
        *self.under_way.borrow_mut() = what;
    }

    /// Awaits `work`, which is called `doing` on the terminal.
    async fn during<T>(&self, doing: &str, work: impl Future<Output = T>) -> T {
        Line::new(self.out).during(work, async || doing.to_owned()).await
    }
}

/// Runs one command line to its end.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Fail> {
    let out = Printer { json: args.json };
    let command = match args.command {
        Some(Command::Completions { shell }) => {
            completions::print(out, shell)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Network(command)) => match network::without_daemon(out, command)? {
            Some(command) => Some(Command::Network(command)),
            None => return Ok(ExitCode::SUCCESS),
        },
        other => other,
    };
    let client = Client { place: Place::find(&args.which)? };
    let context = Context { client, out, under_way: RefCell::default() };
    // A run has the signals to itself, and hands them on.
    let hands_on = matches!(command, Some(Command::Run(_)));
    let work = carry_out(&context, command);
    if hands_on { work.await } else { unless_interrupted(&context, work).await }
}

async fn carry_out(context: &Context, command: Option<Command>) -> Result<ExitCode, Fail> {
    match command {
        None => status::overview(context).await,
        Some(Command::Status(watch)) => status::run(context, watch).await,
        Some(Command::Peers { network, watch }) => peers::run(context, network.as_ref(), watch).await,
        Some(Command::Events(events)) => events::run(context, &events).await,
        Some(Command::Dashboard) => dashboard::run(context).await,
        Some(Command::Network(command)) => network::run(context, command).await,
        Some(Command::Node(command)) => node::run(context, command).await,
        Some(Command::Tunnel(command)) => tunnel::run(context, command).await,
        Some(Command::Ping(ping)) => ping::run(context, &ping).await,
        Some(Command::Doctor { network }) => doctor::run(context, network.as_ref()).await,
        Some(Command::Usage { network, month }) => usage::run(context, network, month).await,
        Some(Command::Wait(wait)) => wait::run(context, &wait).await,
        Some(Command::Run(command)) => return run::run(context, command).await,
        Some(Command::Completions { shell }) => completions::print(context.out, shell),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Asks for one entry in a network's ledger.
async fn change(context: &Context, network: &Name, change: &Change) -> Result<Answer<Done>, Fail> {
    context.client.post(&network_path(network, "changes"), change, SLOW).await
}

/// The same, and prints what was done.
async fn change_and_tell(context: &Context, network: &Name, change: &Change) -> Result<(), Fail> {
    context.begin(UnderWay::Change(format!("{} network log {network}", context.me())));
    let asking = self::change(context, network, change);
    let answer = context.during("waiting for the manager", asking).await?;
    context.out.answer(&answer, |done| [done.message.clone()])
}

/// The place of a network in the API, or of a part of it: `/v1/networks/NAME`, `/v1/networks/NAME/PART`.
pub(crate) fn network_path(network: &Name, part: &str) -> String {
    let slash = if part.is_empty() { "" } else { "/" };
    format!("/v1/networks/{}{slash}{part}", segment(network.as_str()))
}

/// `?network=NAME`, where a network was named.
pub(crate) fn network_query(network: Option<&Name>) -> String {
    network.map_or_else(String::new, |name| format!("?network={}", segment(name.as_str())))
}
