//! `apply`: making a network what a file says, by what [`crate::apply`] finds to do.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use coconet::control::{Change, Done, Expose, Grants, Members, Network, Tunnel, Tunnels, VERSION};
use coconet::name::Name;
use coconet::role::Role;
use coconet::service::ServiceOptions;
use serde::Serialize;

use crate::apply::file::{self, FILE_MAX, Wanted};
use crate::apply::found::Found;
use crate::apply::plan::{Gap, Plan, Step, plan};
use crate::args::Apply;
use crate::client::{SLOW, segment};
use crate::commands::{Context, change, network_path, network_query};
use crate::fail::Fail;
use crate::interrupt::{UnderWay, aside};
use crate::line::Line;
use crate::secret;
use crate::units;

/// What a run found and did.
#[derive(Serialize)]
struct Applied {
    version: u32,
    network: Name,
    dry_run: bool,
    /// In the order of the run.
    changes: Vec<Changed>,
    /// What is left for others to do.
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct Missing {
    what: String,
    /// What they have to run.
    command: String,
}

#[derive(Serialize)]
struct Changed {
    change: String,
    done: bool,
    error: Option<String>,
}

pub(super) async fn run(context: &Context, apply: &Apply) -> Result<(), Fail> {
    let wanted = read(context, apply.file.clone()).await?;
    let found = look(context, &wanted.network).await?;
    let remove = apply.remove || wanted.remove;
    let Plan { steps, gaps } = plan(&wanted, &found, remove, units::now_ms()).map_err(|us| {
        Fail::usage(format!("the file does not list {}, who you are, and would remove you", us.0)).hint(
            format!(
                "put yourself under [users]; to leave: {} network leave {}",
                context.me(),
                wanted.network
            ),
        )
    })?;
    let mut applied = Applied {
        version: VERSION,
        network: wanted.network.clone(),
        dry_run: apply.dry_run,
        changes: Vec::new(),
        missing: gaps
            .iter()
            .map(|gap| Missing { what: gap.to_string(), command: command(context, &wanted.network, gap) })
            .collect(),
    };
    let outcome = if apply.dry_run {
        applied.changes = steps.iter().map(|step| told(step, false)).collect();
        print(context, applied.changes.iter().map(|changed| changed.change.clone()))?;
        if steps.is_empty() { Ok(()) } else { Err(Fail::WouldChange) }
    } else {
        carry_out(context, &wanted.network, &steps, &mut applied.changes).await
    };
    if steps.is_empty() {
        print(context, ["no changes".to_owned()])?;
    }
    if context.out.json {
        context.out.own(applied, |_| [])?;
    } else {
        for missing in &applied.missing {
            context.out.note(&format!("missing: {}: {}", missing.what, missing.command));
        }
    }
    outcome.and_then(|()| {
        if gaps.is_empty() {
            return Ok(());
        }
        let count = units::count(gaps.len() as u64, "thing");
        let missing = format!("{} is not yet what the file says: {count} missing", wanted.network);
        Err(Fail::failed(missing).hint("run the commands above, and apply the file again"))
    })
}

async fn read(context: &Context, path: PathBuf) -> Result<Wanted, Fail> {
    let name = secret::place_of(&path);
    let read = aside(move || {
        let mut bytes = Vec::new();
        let read = if path == Path::new("-") {
            io::stdin().lock().take(FILE_MAX + 1).read_to_end(&mut bytes)
        } else {
            File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        };
        read.map(|_| bytes)
    });
    let bytes = read.await.map_err(|error| {
        Fail::failed(format!("cannot read {name}"))
            .because(error)
            .hint(format!("{} network apply -, with the file on its stdin", context.me()))
    })?;
    let senseless = |why: String| {
        Fail::usage(format!("{name} does not describe a network"))
            .because(why)
            .hint("network.example.toml, which comes with coco, explains the form")
    };
    if bytes.len() as u64 > FILE_MAX {
        return Err(senseless(format!("it is longer than {} MiB", FILE_MAX >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|error| senseless(error.to_string()))?;
    file::parse(&text).map_err(senseless)
}

async fn look(context: &Context, name: &Name) -> Result<Found, Fail> {
    let client = &context.client;
    let network = client.get::<Network>(&network_path(name, "")).await?.value;
    let members = client.get::<Members>(&network_path(name, "members")).await?.value;
    let tunnels = client.get::<Tunnels>("/v1/tunnels").await?.value;
    let grants = client.get::<Grants>(&network_path(name, "grants")).await?.value;
    Ok(Found::new(network, members, tunnels, grants))
}

/// Does what can be done. What is refused does not keep the rest; without an answer it ends.
async fn carry_out(
    context: &Context,
    network: &Name,
    steps: &[Step],
    changes: &mut Vec<Changed>,
) -> Result<(), Fail> {
    let mut first = None;
    let line = Line::new(context.out);
    for (number, step) in (1..).zip(steps) {
        context.begin(UnderWay::Changes(changes.iter().filter(|changed| changed.done).count(), steps.len()));
        line.show(&format!("{number} of {}: {step}", steps.len()));
        let carried_out = carry_out_one(context, network, step).await;
        match carried_out {
            Ok(()) => {
                let changed = told(step, true);
                print(context, [changed.change.clone()])?;
                changes.push(changed);
            }
            Err(fail) => {
                context.out.note(&format!("failed: {step}: {}", fail.summary()));
                changes.push(Changed { error: Some(fail.summary()), ..told(step, false) });
                let last = fail.ends_a_run();
                first.get_or_insert(fail);
                if last {
                    break;
                }
            }
        }
    }
    let tried = changes.len();
    changes.extend(steps.iter().skip(tried).map(|step| told(step, false)));
    match first {
        None => Ok(()),
        Some(fail) => {
            let open = changes.iter().filter(|changed| !changed.done).count();
            let fail = fail.or_hint("do something about what failed, and apply the file again");
            Err(fail.within(format!("{open} of {} changes could not be made", steps.len())))
        }
    }
}

async fn carry_out_one(context: &Context, network: &Name, step: &Step) -> Result<(), Fail> {
    let change_to = match step {
        Step::Revoke { between: (user, resource) } => {
            Change::RevokeGrant { user: user.clone(), resource: resource.clone() }
        }
        Step::RemoveUser { user } => Change::RemoveUser { user: user.clone() },
        Step::SetRole { user, to, .. } => Change::SetRole { user: user.clone(), role: *to },
        Step::Grant { between: (user, resource), terms, .. } => Change::Grant {
            user: user.clone(),
            resource: resource.clone(),
            can: Some(terms.can.clone()),
            when: terms.when.clone(),
            until_ms: terms.until_ms,
        },
        Step::Withdraw { tunnel, .. } => {
            let query = network_query(Some(network));
            let path = format!("/v1/tunnels/{}{query}", segment(tunnel));
            return context.client.delete::<Done>(&path).await.map(|_| ());
        }
        Step::Expose { resource, url, .. } => {
            let request = Expose {
                url: url.clone(),
                name: resource.clone(),
                network: Some(network.clone()),
                can: None,
                login: None,
                options: ServiceOptions::default(),
            };
            return context.client.post::<Tunnel>("/v1/expose", &request, SLOW).await.map(|_| ());
        }
    };
    change(context, network, &change_to).await.map(|_| ())
}

fn told(step: &Step, done: bool) -> Changed {
    Changed { change: step.to_string(), done, error: None }
}

/// Lines for people; JSON comes as a whole, at the end.
fn print(context: &Context, lines: impl IntoIterator<Item = String>) -> Result<(), Fail> {
    if context.out.json { Ok(()) } else { context.out.lines(lines) }
}

/// What somebody else has to run, and then this again.
fn command(context: &Context, network: &Name, gap: &Gap) -> String {
    let me = context.me();
    match gap {
        // An invite makes nobody an owner: the next run does.
        Gap::NotJoined { user, role: Role::Owner | Role::Admin } => {
            format!("{me} network invite {network} --user {user} --role admin")
        }
        Gap::NotJoined { user, role: Role::Guest } => {
            format!("{me} network invite {network} --user {user} --role guest")
        }
        Gap::NotOffered { resource } => {
            format!("cococtl tunnel expose URL --name {resource}, on the node that has it")
        }
        Gap::OfferedElsewhere { resource, node } => {
            format!("move {resource} to a file for {node}, and apply that there")
        }
    }
}
