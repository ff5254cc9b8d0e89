//! `cocod`: one daemon for one app.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use coco_sandbox::{Keeps, Layer, Report, State};
use coco_tunnel::descriptors;
use cocod::config::{CONFIG_MAX, Config};
use cocod::daemon::Daemon;
use cocod::fault::Fault;
use cocod::ip::host::Host;
use cocod::lookups::{self, Helper, Helpers};
use cocod::state_dir::{StateDir, StateDirError};
use cocod::store::{Database, Store, StoreError};
use cocod::tunnel::SocketDirs;
use cocod::{config, control, metrics, sandbox};
use coconet::control::paths::{DEFAULT_APP, Environment, SOCKET_NAME};
use coconet::log::{Lines, lines};
use coconet::name::Name;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[cfg(test)]
mod manual;
mod sandbox_check;

/// Exit code for a configuration that cannot be used (`EX_CONFIG` of sysexits.h).
const BAD_CONFIG: u8 = 78;

/// Run one coco daemon, for one application
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  $ cocod --app camera\n  $ cocod --app camera --config /etc/coco/camera.toml --check"
)]
struct Args {
    /// The application this daemon is for
    #[arg(long, env = "COCO_APP", default_value = DEFAULT_APP)]
    app: Name,
    /// Read the configuration from FILE
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep state in DIR [default: /var/lib/coco/APP for root, else ~/.local/state/coco/APP]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Listen for control on PATH [default: control.sock in DIR, or in the runtime directory]
    #[arg(long, value_name = "PATH", env = "COCO_SOCKET")]
    socket: Option<PathBuf>,
    /// Check configuration, state directory and keys, and exit
    #[arg(long)]
    check: bool,
    /// Enter the sandbox, try to leave it, print what came of it, and exit
    #[arg(long, conflicts_with = "check")]
    sandbox_check: bool,
    /// Answer a daemon's questions about names or processes on stdin
    #[arg(long, hide = true)]
    lookups: Option<Helper>,
    /// Leave a layer of that process's sandbox off
    #[arg(long, hide = true, requires = "lookups")]
    without: Vec<Layer>,
}

/// Take as many file descriptors as this process may have, and keep some.
fn raise_descriptor_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    // Without more, there are fewer clients.
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    descriptors::limit_to(if raised { hard } else { soft });
}

/// An error, and whether it is the configuration's.
enum Failure {
    Config(anyhow::Error),
    Other(anyhow::Error),
}

fn main() -> ExitCode {
    // Everything this process makes is for its user alone, and nothing of it goes into a core file.
    umask(Mode::from_bits_truncate(0o077));
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    raise_descriptor_limit();
    let args = Args::parse();
    let started = match args.lookups {
        Some(helper) => {
            lookups::serve(helper, args.without.iter().copied().collect()).map_err(Failure::Other)
        }
        None => start(&args),
    };
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(error)) => {
            report(&error, "cocod --check reads the configuration without starting; see config.example.toml");
            ExitCode::from(BAD_CONFIG)
        }
        Err(Failure::Other(error)) => {
            report(&error, "COCO_LOG=debug says more");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> Result<(), Failure> {
    let config = read_config(args.config.as_deref()).map_err(Failure::Config)?;
    let environment = environment();
    let no_home = || Failure::Config(anyhow!("no home directory: name a state directory with --state"));
    let state = match &args.state {
        Some(path) => path.clone(),
        None => environment.state_dir(&args.app).ok_or_else(no_home)?,
    };
    let socket = match (&args.socket, &config.control.socket) {
        (Some(path), _) => path.clone(),
        (None, path) if !path.as_os_str().is_empty() => path.clone(),
        (None, _) if args.state.is_some() => state.join(SOCKET_NAME),
        (None, _) => environment.socket(&args.app).ok_or_else(no_home)?,
    };
    let places = Places { usual: environment.socket(&args.app), state, socket };
    let state = &places.state;
    if args.check {
        return StateDir::inspect(state).map_err(|error| Failure::Config(error.into()));
    }
    if args.sandbox_check {
        return sandbox_check::run(&config, state, places.beside()).map_err(Failure::Other);
    }
    let level = EnvFilter::try_from_env("COCO_LOG").unwrap_or_else(|_| EnvFilter::new(&config.log.level));
    let writer = || Lines::new(std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(level).with_writer(writer).with_ansi(false).init();
    // Packets, streams and control requests share one thread: on the machines this runs on, handing
    // packets between threads costs more than it gives. The disk has a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start").map_err(Failure::Other)?;
    let door = Door::new(&config).map_err(Failure::Other)?;
    runtime.block_on(run(args.app.clone(), config, door, &places)).map_err(Failure::Other)
}

/// Where this daemon's files are.
struct Places {
    state: PathBuf,
    socket: PathBuf,
    /// Where the socket is when nobody says otherwise.
    usual: Option<PathBuf>,
}

impl Places {
    /// The socket's directory, if it is the daemon's.
    fn beside(&self) -> Option<PathBuf> {
        sandbox::socket_directory(&self.socket, self.usual.as_deref(), &self.state)
    }
}

async fn run(app: Name, config: Config, door: Door, places: &Places) -> anyhow::Result<()> {
    let (state, socket) = (&places.state, &places.socket);
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let state_dir = StateDir::open(state)?;
    let database = Database::open(&state_dir.database())?;
    let host = config.ip.host.then(|| host(&config, &app, &state_dir, &database)).transpose()?;
    let (listener, socket_file) = match door.inherited {
        // Its file is the service manager's.
        Some(listener) => (UnixListener::from_std(listener).context("the control socket")?, None),
        None => {
            let (listener, file) = control::bind(socket).map_err(|error| {
                Fault::failed(format!("cannot listen on {}", socket.display()))
                    .because(&error)
                    .hint("name another path with --socket, in a directory of this user and below 108 bytes")
            })?;
            (listener, Some(file))
        }
    };
    let figures = match config.metrics.listen.0 {
        Some(address) => Some(metrics::bind(address).await.map_err(|error| {
            Fault::failed(format!("cannot serve metrics on {address}"))
                .because(&error)
                .hint("see metrics.listen in the configuration")
        })?),
        None => None,
    };
    // Where a service manager has made the socket, it takes it away as well.
    let beside = if socket_file.is_some() { places.beside() } else { None };
    let dirs = SocketDirs::of(beside.as_deref(), state, &config);
    let keeps = sandbox::keeps(&config, state, beside, &database.ports()?);
    let report = enter_sandbox(&keeps)?;
    // From here on, nothing privileged: no file, port or process but the daemon's own. Threads start now.
    if let Some(helpers) = door.helpers {
        lookups::ask(helpers).context("the lookup processes")?;
    }
    let store = Store::start(database)?;
    let daemon = Daemon::start(app, config, state_dir, store, dirs, report, host).await?;
    if let Some(listener) = figures {
        tokio::spawn(metrics::serve(listener, std::sync::Arc::downgrade(&daemon)));
    }
    tracing::info!(socket = %socket.display(), state = %state.display(), "ready");
    notify(sd_notify::NotifyState::Ready);
    let stopping = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    control::run(listener, std::sync::Arc::clone(&daemon), stopping).await.context("the control socket")?;
    drop(socket_file);
    notify(sd_notify::NotifyState::Stopping);
    daemon.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// The machine's interface, with the addresses of the nodes of the networks that were joined. Their keys alone are
/// read: one of a join that was killed half-way may be cut short.
fn host(config: &Config, app: &Name, state: &StateDir, database: &Database) -> anyhow::Result<Host> {
    let own = |network| Ok((network, state.read_keys(network)?.id()));
    let nodes: Result<Vec<_>, StateDirError> = database.networks()?.into_iter().map(own).collect();
    Ok(Host::make(&config.ip, app, &nodes?)?)
}

/// What this process has by then of others, and of its own.
struct Door {
    /// The control socket, where a service manager has made it.
    inherited: Option<std::os::unix::net::UnixListener>,
    /// Who looks for this daemon at what its sandbox hides; without a sandbox it can do so itself.
    helpers: Option<Helpers>,
}

impl Door {
    fn new(config: &Config) -> anyhow::Result<Self> {
        let inherited = control::inherited().map_err(|error| {
            Fault::failed("cannot use the socket that was handed over").because(&error).hint(
                "hand over one unix stream socket, as contrib/systemd/cocod@.socket does, or none at all",
            )
        })?;
        let off = sandbox::off(config);
        let helpers = config.sandbox.enabled.then(|| Helpers::start(&off)).transpose()?;
        Ok(Self { inherited, helpers })
    }
}

/// Give up all that is not needed, and say so.
fn enter_sandbox(keeps: &Keeps) -> anyhow::Result<Report> {
    let report = coco_sandbox::enter(keeps)?;
    for (layer, state) in report.layers() {
        let (word, why) = (state.as_str(), state.why().unwrap_or_default());
        match state {
            State::InForce => tracing::debug!(%layer, state = word, "sandbox"),
            State::Partly(_) => tracing::info!(%layer, state = word, why, "sandbox"),
            State::Missing(_) | State::Off => tracing::warn!(%layer, state = word, why, "sandbox"),
        }
    }
    Ok(report)
}

fn read_config(path: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let named = || path.display().to_string();
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(named)?;
    file.take(CONFIG_MAX + 1).read_to_string(&mut text).with_context(named)?;
    if text.len() as u64 > CONFIG_MAX {
        return Err(anyhow!("longer than {CONFIG_MAX} bytes").context(named()));
    }
    config::parse(&text).with_context(named)
}

fn environment() -> Environment {
    let path = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    Environment {
        root: nix::unistd::geteuid().is_root(),
        home: path("HOME"),
        state_home: path("XDG_STATE_HOME"),
        runtime_dir: path("XDG_RUNTIME_DIR"),
    }
}

/// Tell the service manager, if there is one.
fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "service manager not told");
    }
}

/// Tell what went wrong and what to do: by the error itself, where it knows, else by `otherwise`.
#[expect(clippy::print_stderr, reason = "the last words of a program without a log")]
fn report(error: &anyhow::Error, otherwise: &str) {
    let told = error.downcast_ref::<Fault>().cloned().map(Fault::into_body);
    let (message, causes, hint) = match told {
        Some(told) => (told.message, told.causes, told.hint),
        None => {
            let causes = error.chain().skip(1).map(ToString::to_string).collect();
            let state = error.downcast_ref::<StateDirError>().map(StateDirError::hint);
            let store = error.downcast_ref::<StoreError>().map(|error| error.hint().to_owned());
            (error.to_string(), causes, state.or(store))
        }
    };
    eprint!("{}", lines(&format!("error: {message}")));
    for cause in causes {
        eprint!("{}", lines(&format!("  caused by: {cause}")));
    }
    eprint!("{}", lines(&format!("hint: {}", hint.as_deref().unwrap_or(otherwise))));
}
