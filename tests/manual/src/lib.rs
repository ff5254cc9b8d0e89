//! Holds the manual pages in `man/` to the programs they describe.
//!
//! A page is one file, written by hand, with parts that are generated. Such a part stands between two comments, of
//! which the first says what belongs there:
//!
//! ```text
//! .\" generated: options cococtl tunnel open
//! .Bl -tag -width Ds
//! ...
//! .\" generated: end
//! ```
//!
//! - `synopsis COMMAND`: how the command is called, or each command below it;
//! - `options COMMAND`: its arguments and options, with what they take when they are not given;
//! - `commands COMMAND`: the commands below it, with the pages that describe them.
//!
//! A test in each binary hands its [`clap::Command`] to [`hold`], which fails when a page says something else, or when
//! a command stands in no page. With [`REWRITE`] in the environment it writes the parts anew: `make man`.
//!
//! Pages of configuration files are written by hand as a whole. [`keys`] reads which keys they name, which an example
//! names and which a parser knows, so that a test can say they are the same.
//!
//! [`examples`] are the commands that the pages show.

pub mod examples;
pub mod keys;
mod mdoc;
mod parts;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::Command;

/// Set, the generated parts are written instead of compared.
pub const REWRITE: &str = "REWRITE_MANUAL";

/// How the first comment of a generated part begins.
const BEGIN: &str = ".\\\" generated: ";

/// The last comment of a generated part.
const END: &str = ".\\\" generated: end";

/// Where the pages are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man")
}

/// The pages, by file name.
pub fn pages() -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory()).expect("the directory of the pages");
    let page = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name, fs::read_to_string(&path).expect("a page")))
    };
    entries.filter_map(|entry| page(entry.expect("a page").path())).collect()
}

/// One page.
pub fn page(name: &str) -> String {
    fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("man/{name}: {error}"))
}

/// Panics unless what the pages generate from `command` is what it says now, and all its commands are described.
pub fn hold(mut command: Command) {
    command.build();
    let mut described = Vec::new();
    let mut old = Vec::new();
    for (name, text) in pages() {
        let new = renewed(&text, &command, &mut described);
        if new == text {
            continue;
        }
        if env::var_os(REWRITE).is_some() {
            fs::write(directory().join(&name), new).expect("the page is written");
        } else {
            old.push(name);
        }
    }
    assert!(old.is_empty(), "old pages, which `make man` renews: {}", old.join(" "));
    let missing: Vec<String> =
        leaves(&command).into_iter().map(path_of).filter(|path| !described.contains(path)).collect();
    assert!(missing.is_empty(), "in no page of man/: {}", missing.join(", "));
    let own = path_of(&command);
    for (index, path) in described.iter().enumerate() {
        assert!(!described[..index].contains(path), "{path} is described twice");
        assert!(*path == own || find(&command, path).is_some(), "{path}: no such command");
    }
}

/// The page with its parts anew. The commands whose options it shows are added to `described`.
fn renewed(text: &str, command: &Command, described: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some((kind, path)) = line.strip_prefix(BEGIN).and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let kept: Vec<&str> = lines.by_ref().take_while(|line| *line != END).collect();
        if path.split(' ').next() == Some(command.get_name()) {
            let found = find(command, path).unwrap_or_else(|| panic!("{line}: no such command"));
            if kind == "options" {
                described.push(path.to_owned());
            }
            out.push_str(&match kind {
                "synopsis" => leaves(found).into_iter().map(parts::synopsis).collect(),
                "options" => parts::options(found),
                "commands" => parts::commands(found),
                _ => panic!("{line}: a part is synopsis, options or commands"),
            });
        } else {
            out.extend(kept.iter().flat_map(|line| [line, "\n"]));
        }
        out.push_str(END);
        out.push('\n');
    }
    out
}

/// The commands that do something themselves: `command` itself, where there is none below it.
fn leaves(command: &Command) -> Vec<&Command> {
    let below: Vec<&Command> = visible(command).flat_map(leaves).collect();
    if below.is_empty() { vec![command] } else { below }
}

/// The commands right below one.
fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

/// How a command is called.
fn path_of(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// The command that is called so.
fn find<'a>(command: &'a Command, path: &str) -> Option<&'a Command> {
    let mut words = path.split(' ');
    let first = words.next()?;
    (first == command.get_name()).then_some(())?;
    words.try_fold(command, |command, word| visible(command).find(|below| below.get_name() == word))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    fn command() -> Command {
        let url = Arg::new("url").value_name("URL").required(true).help("What is shown");
        let name = Arg::new("name").long("name").value_name("NAME").required(true).help("Its name. Or not");
        let max = Arg::new("max").long("max").short('m').value_name("N").default_value("3").help("How many");
        let all = Arg::new("all").long("all").action(ArgAction::SetTrue).help("All [default: some]");
        let show = Command::new("show").about("Show it").args([url, name, max, all]);
        let mut command = Command::new("tool").about("Do things").subcommand(show);
        command.build();
        command
    }

    #[test]
    fn a_part_is_written_anew_and_the_rest_is_kept() {
        let page = "before\n.\\\" generated: options tool show\nold\n.\\\" generated: end\n\
                    .\\\" generated: options other\nkept\n.\\\" generated: end\nafter\n";
        let mut described = Vec::new();
        let expected = "before\n.\\\" generated: options tool show\n.Bl -tag -width Ds\n.It Ar url\nWhat is shown.\n\
                        .It Fl -name Ar name\nIts name.\nOr not.\n.It Fl m , Fl -max Ar n\nHow many.\nDefault: 3.\n\
                        .It Fl -all\nAll.\nDefault: some.\n.El\n.\\\" generated: end\n\
                        .\\\" generated: options other\nkept\n.\\\" generated: end\nafter\n";
        assert_eq!(renewed(page, &command(), &mut described), expected);
        assert_eq!(described, ["tool show"]);
    }

    #[test]
    fn a_synopsis_names_every_option() {
        let page = ".\\\" generated: synopsis tool\n.\\\" generated: end\n";
        let expected = ".\\\" generated: synopsis tool\n.Nm tool Cm show\n.Op Fl m Ar n\n.Op Fl -all\n.Fl -name\n.Ar name\n\
                        .Ar url\n.\\\" generated: end\n";
        assert_eq!(renewed(page, &command(), &mut Vec::new()), expected);
    }
}
