//! The commands: what they print, and what their failures tell the operator to do.

use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use coco_manager::config::{Config, Listen, Public, sample};
use coco_manager::notify::{READY, STOPPING, notify};
use coco_manager::sandbox;
use coco_manager::server::{Server, ServerError};
use coco_manager::state_dir::{StateDir, StateDirError, fresh_keys};
use coco_sandbox::Keeps;
use coco_sandbox::trial::{Preparation, let_through, table};
use coconet::key::NodeKeys;
use coconet::log::{Lines, lines};
use coconet::manager_addr::ManagerAddr;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Exit code for a configuration that is none (`EX_CONFIG` of sysexits.h), which tells a service manager
/// that trying again is of no use.
const EXIT_CONFIG: u8 = 78;

/// Which messages are logged, as `tracing` knows them.
const LOG_VARIABLE: &str = "COCO_LOG";

/// Order the ledgers of coco networks and introduce their nodes to each other
#[derive(Debug, Parser)]
#[command(name = "coco-manager", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new manager: keys, configuration and database; print its address
    #[command(after_help = "Examples:\n  $ coco-manager init --state /var/lib/coco-manager \\\n      \
                            --listen 0.0.0.0:4433 --public manager.example.org:4433")]
    Init {
        #[command(flatten)]
        state: StateArg,
        /// UDP address to listen on; give it twice for IPv4 and IPv6
        #[arg(long, value_name = "IP:PORT", required = true)]
        listen: Vec<SocketAddr>,
        /// Where nodes reach that from outside
        #[arg(long, value_name = "HOST:PORT")]
        public: Public,
    },
    /// Serve until told to stop
    Run {
        #[command(flatten)]
        state: StateArg,
    },
    /// Say whether `run` would find everything in order
    Check {
        #[command(flatten)]
        state: StateArg,
        /// Enter the sandbox as well, try to leave it, and print what came of it
        #[arg(long)]
        sandbox: bool,
    },
    /// Print the manager address
    Address {
        #[command(flatten)]
        state: StateArg,
    },
}

#[derive(Debug, clap::Args)]
struct StateArg {
    /// The manager's own directory
    #[arg(long = "state", value_name = "DIR")]
    dir: PathBuf,
}

/// Do what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Command::Init { state, listen, public } => match Listen::new(listen.clone()) {
            Ok(listen) => init(&state.dir, &listen, public),
            Err(error) => {
                Cli::command().error(ErrorKind::ValueValidation, format!("--listen: {error}")).exit()
            }
        },
        Command::Run { state } => run(&state.dir),
        Command::Check { state, sandbox } => check(&state.dir, *sandbox),
        Command::Address { state } => address(&state.dir),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

fn init(dir: &Path, listen: &Listen, public: &Public) -> anyhow::Result<()> {
    let keys = fresh_keys().context("the system gives no random numbers")?;
    StateDir::create(dir, &keys, &sample(listen, public)).context("no manager was made")?;
    print(&manager_addr(&keys, public, None))
}

fn address(dir: &Path) -> anyhow::Result<()> {
    let dir = StateDir::open(dir)?;
    let config = dir.config()?;
    print(&manager_addr(&dir.keys()?, &config.public, config.tls.address_port()))
}

fn check(dir: &Path, sandbox: bool) -> anyhow::Result<()> {
    let dir = StateDir::open(dir)?;
    let config = dir.config()?;
    let keys = dir.keys()?;
    drop(dir.storage()?);
    print(&manager_addr(&keys, &config.public, config.tls.address_port()))?;
    if sandbox {
        let keeps = sandbox::keeps(&config, dir.path());
        let preparation = Preparation::new(&keeps);
        let report = coco_sandbox::enter(&keeps)?;
        let attempts = preparation.run();
        print(&table(&report, &attempts))?;
        let_through(&attempts)?;
    }
    print("ok")
}

fn run(dir: &Path) -> anyhow::Result<()> {
    let dir = StateDir::open(dir)?;
    let config = dir.config()?;
    let keys = dir.keys()?;
    start_log()?;
    // A core dump would hold the keys; the sandbox comes later, and can be switched off.
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)
        .context("core dumps cannot be turned off")?;
    let lock = dir.lock()?;
    let storage = dir.storage()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(&config, keys, storage, &sandbox::keeps(&config, dir.path())))?;
    drop(lock);
    Ok(())
}

async fn serve(
    config: &Config,
    keys: NodeKeys,
    storage: coco_manager::storage::sqlite::Sqlite,
    keeps: &Keeps,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let server = Server::bind_then(config, keys, storage, || sandbox::enter(keeps))?;
    tracing::info!(listen = ?server.addresses(), metrics = ?server.metrics(), "serving");
    notify(READY);
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notify(STOPPING);
        tracing::info!("stopping");
    };
    server.run(shutdown).await?;
    Ok(())
}

fn manager_addr(keys: &NodeKeys, public: &Public, tls: Option<NonZeroU16>) -> String {
    let Public { host, port } = public.clone();
    ManagerAddr { stamp: keys.stamp_key(), talk: keys.static_key(), host, port, tls }.to_string()
}

fn start_log() -> anyhow::Result<()> {
    let text = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&text).with_context(|| format!("{LOG_VARIABLE}={text}"))?;
    let writer = || Lines::new(std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false).init();
    Ok(())
}

fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to stdout")
}

/// The error, its causes, and what to do, on stderr.
fn complain(error: &anyhow::Error) {
    let mut text = lines(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        text.push_str(&lines(&format!("  caused by: {cause}")));
    }
    if let Some(hint) = hint(error) {
        text.push_str(&lines(&format!("hint: {hint}")));
    }
    // Nobody is left to tell when stderr is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<StateDirError>() {
        return Some(match error {
            StateDirError::Exists(path) => format!(
                "print its address with `coco-manager address --state {}`, or give --state another directory",
                path.display()
            ),
            StateDirError::Missing(path) => format!(
                "make one with `coco-manager init --state {} --listen IP:PORT --public HOST:PORT`",
                path.display()
            ),
            StateDirError::Open { path, .. } => {
                format!("`chmod go= {}`, as the user that the manager runs as", path.display())
            }
            StateDirError::Busy(_) => "stop it first, or give --state another directory".to_owned(),
            StateDirError::Key(_) => {
                "restore manager.key from a backup: it is the manager's identity".to_owned()
            }
            StateDirError::Config { path, .. } => format!("edit {}", path.display()),
            StateDirError::Database { .. } => {
                "run the coco-manager that wrote it, or restore manager.db from a backup".to_owned()
            }
            StateDirError::Io { .. } => return None,
        });
    }
    match error.downcast_ref::<ServerError>()? {
        ServerError::Listen(..) => {
            Some("see `listen` in manager.toml; is another manager running?".to_owned())
        }
        ServerError::Metrics(..) => {
            Some("see `listen` of [metrics] in manager.toml; is something else listening there?".to_owned())
        }
        ServerError::Tls(_) => Some(
            "see `listen` of [tls] in manager.toml; a port below 1024 needs CAP_NET_BIND_SERVICE".to_owned(),
        ),
        ServerError::Sandbox(_) => {
            Some("see [sandbox] in manager.toml, by which the layer can be left off".to_owned())
        }
        ServerError::Storage(_) => Some("restore manager.db from a backup".to_owned()),
        ServerError::Thread(_) | ServerError::Desk => None,
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<StateDirError>() {
        Some(StateDirError::Config { .. } | StateDirError::Key(_) | StateDirError::Open { .. }) => {
            EXIT_CONFIG
        }
        Some(
            StateDirError::Exists(_)
            | StateDirError::Missing(_)
            | StateDirError::Busy(_)
            | StateDirError::Database { .. }
            | StateDirError::Io { .. },
        )
        | None => 1,
    }
}
