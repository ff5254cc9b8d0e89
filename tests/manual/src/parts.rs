//! The generated parts of a page.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use crate::mdoc::{argument, prose};
use crate::{path_of, usage, visible};

/// How a command is called.
pub(crate) fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let optional = || {
        let arguments =
            own(command).filter(|argument| !argument.is_positional() && !argument.is_required_set());
        arguments.collect::<Vec<_>>()
    };
    let left = usage::unnamed(usage, optional());
    usage.lines().map(|line| usage::synopsis(line.trim(), &path_of(command), &left)).collect()
}

/// The arguments and options of a command.
pub(crate) fn options(command: &Command) -> String {
    let (positional, named): (Vec<&Arg>, Vec<&Arg>) =
        own(command).partition(|argument| argument.is_positional());
    let items: String = positional.into_iter().chain(named).map(item).collect();
    if items.is_empty() { String::new() } else { format!(".Bl -tag -width Ds\n{items}.El\n") }
}

/// The commands right below one, each with its page.
pub(crate) fn commands(command: &Command) -> String {
    let mut out = ".Bl -tag -width Ds\n".to_owned();
    for below in visible(command) {
        let page = path_of(below).replace(' ', "-");
        let about = below.get_about().map(ToString::to_string).unwrap_or_default();
        let names: Vec<&str> = visible(below).map(Command::get_name).collect();
        let _ = write!(out, ".It Cm {}\n{}", argument(below.get_name()), prose(&about));
        if !names.is_empty() {
            out.push_str(&prose(&format!("Its commands: {}", names.join(", "))));
        }
        let _ = writeln!(out, "See\n.Xr {page} 1 .");
    }
    out + ".El\n"
}

/// The arguments that are a command's own: not those of all commands, and not help and version.
fn own(command: &Command) -> impl Iterator<Item = &Arg> {
    let top = !path_of(command).contains(' ');
    command.get_arguments().filter(move |argument| {
        let built_in = matches!(
            argument.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        !argument.is_hide_set() && !built_in && (top || !argument.is_global_set())
    })
}

/// One argument as an item of a list.
fn item(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let (help, mut default) =
        match help.trim_end().strip_suffix(']').and_then(|text| text.rsplit_once("[default: ")) {
            Some((help, default)) => (help.to_owned(), Some(default.to_owned())),
            None => (help, None),
        };
    if argument.get_action().takes_values() && !argument.get_default_values().is_empty() {
        let values = argument.get_default_values().iter().map(|value| value.to_string_lossy());
        default = Some(values.collect::<Vec<_>>().join(" "));
    }
    let mut out = format!(".It {}\n{}", heading(argument), prose(&renamed(&help, argument)));
    let values = argument.get_possible_values();
    if !values.is_empty() {
        let names: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
        out.push_str(&prose(&format!("One of: {}", names.join(", "))));
    }
    if let Some(variable) = argument.get_env() {
        let _ = writeln!(out, "Without it\n.Ev {}\ncounts.", variable.to_string_lossy());
    }
    if let Some(default) = default {
        out.push_str(&prose(&format!("Default: {default}")));
    }
    out
}

/// A help text that speaks of the argument's value, by the name that the page has for it.
fn renamed(help: &str, argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let word = |word: &str| match names.iter().find(|name| word.trim_end_matches(['.', ',']) == name.as_str())
    {
        Some(_) => word.to_lowercase(),
        None => word.to_owned(),
    };
    help.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// `Fl c , Fl -count Ar n`.
fn heading(argument: &Arg) -> String {
    if argument.is_positional() {
        return format!("Ar {}", value(argument));
    }
    let names =
        [argument.get_short().map(|c| c.to_string()), argument.get_long().map(|name| format!("-{name}"))];
    let names: Vec<String> = names.into_iter().flatten().map(|name| format!("Fl {name}")).collect();
    match value(argument) {
        value if value.is_empty() => names.join(" , "),
        value => format!("{} Ar {value}", names.join(" , ")),
    }
}

/// An option as the synopsis shows it: by its short name, if it has one.
pub(crate) fn short(argument: &Arg) -> String {
    let name = argument.get_short().map(|c| c.to_string());
    let name = name.or_else(|| Some(format!("-{}", argument.get_long()?))).unwrap_or_default();
    match value(argument) {
        value if value.is_empty() => format!("Fl {name}"),
        value => format!("Fl {name} Ar {value}"),
    }
}

/// What an argument takes, in words.
fn value(argument: &Arg) -> String {
    if !argument.get_action().takes_values() {
        return String::new();
    }
    let names = argument.get_value_names().unwrap_or_default();
    let mut words: Vec<String> = names.iter().map(|name| placeholder(name)).collect();
    if words.is_empty() {
        words.push(placeholder(argument.get_id().as_str()));
    }
    if argument.get_num_args().is_some_and(|range| range.max_values() > 1) {
        words.push("...".to_owned());
    }
    words.join(" ")
}

/// What stands for a value: `NAME` is `name`, but a form to be filled in stays as it is.
pub(crate) fn placeholder(name: &str) -> String {
    if name.contains("YYYY") { name.to_owned() } else { argument(&name.to_lowercase()) }
}
