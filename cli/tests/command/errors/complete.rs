//! Nothing that `cococtl` can say is left out of the pages, and all of it is in one style.

use std::collections::BTreeSet;
use std::fs;

use super::page::directory;
use super::sources::{Source, Token, below, is_in};
use super::usage::commands;
use crate::daemon::{Ended, cococtl};

/// Calls that make an error, or a part of one: what is between their brackets is said.
const SAYS: [&[&str]; 15] = [
    &["Self", ":", ":", "failed", "("],
    &["Fail", ":", ":", "new", "("],
    &["Fail", ":", ":", "failed", "("],
    &["Fail", ":", ":", "usage", "("],
    &["Failed", ":", ":", "new", "("],
    &["Failed", "{"],
    &[".", "because", "("],
    &[".", "hint", "("],
    &[".", "within", "("],
    &[".", "map_err", "("],
    &[".", "ok_or", "("],
    &[".", "ok_or_else", "("],
    &[".", "unreadable", "("],
    &["Err", "("],
    &["complain", "("],
];

/// Functions whose strings are parts of errors wherever they are used.
const PARTS: [(&str, &str); 6] = [
    ("cli/src/client.rs", "as_its_owner"),
    ("cli/src/place.rs", "find"),
    ("cli/src/interrupt.rs", "how_it_stands"),
    ("cli/src/interrupt.rs", "of_network"),
    ("cli/src/interrupt.rs", "unknown"),
    ("cli/src/args/mod.rs", "refused"),
];

/// Where the reasons come from for which `cococtl` itself refuses a word: what the enums of these files display.
const REASONS: [&str; 14] = [
    "coconet/src/calendar.rs",
    "coconet/src/grant.rs",
    "coconet/src/invite.rs",
    "coconet/src/ledger/archive.rs",
    "coconet/src/ledger/chain.rs",
    "coconet/src/listen.rs",
    "coconet/src/manager_addr.rs",
    "coconet/src/name.rs",
    "coconet/src/path_mode.rs",
    "coconet/src/recovery.rs",
    "coconet/src/role.rs",
    "coconet/src/scope.rs",
    "coconet/src/service.rs",
    "coconet/src/target.rs",
];

/// What no page shows, and why not.
const NOT_SHOWN: [(&str, &str); 35] = [
    ("For more information", "clap ends with that, and it is taken away"),
    ("a path is one of direct-first, direct-only, relay-only", "clap lists the values before"),
    ("what shall be exposed, and under which name?", "clap asks for both before"),
    ("no default app", "the name of the default app is one"),
    ("there is no command", "process 1 is given one"),
    ("cannot write the request", "our own requests are JSON"),
    ("cannot write the script", "clap writes it into memory"),
    ("the connection cannot be used as it is", "it is the one that was made before"),
    ("the op is malformed: {0}", "it takes an author who signs what is no op"),
    ("process 1 of the namespace says too much", "it is this program"),
    ("cannot wait", "it takes a kernel that refuses to wait"),
    ("cannot wait for signals", "it takes a kernel that refuses to wait"),
    ("cannot wait for the command", "it takes a kernel that refuses to wait"),
    ("cannot give up capabilities", "it takes a kernel that refuses to take something away"),
    ("cannot part from the mounts outside", "who has a tree of mounts may do that"),
    ("cannot write the hosts file", "it is in memory"),
    ("cannot hide {}", "it takes a directory that goes at that moment"),
    ("cannot show {}", "it takes a socket that goes at that moment"),
    ("cannot cover {}", "it takes a socket that nothing can be put upon"),
    ("cannot hear the process outside", "nobody hears it either"),
    ("process 1 of the namespace is gone", "it takes somebody who kills it at that moment"),
    ("process 1 of the namespace ended with {code}", "it takes somebody who kills it at that moment"),
    ("what runs in the namespace cannot be talked to", "it takes somebody who kills it at that moment"),
    ("try again; journalctl -k, if it was killed", "it takes somebody who kills it at that moment"),
    ("cannot start in the namespace", "it takes a machine with no room for one process more"),
    ("the namespace was not ready in {} s", "it takes a machine that is busy for 20 s"),
    ("is this machine very busy? try again", "it takes a machine that is busy for 20 s"),
    ("the daemon had nothing ready in {} s", "it takes a minute"),
    (
        "more than {SOCKETS_MAX} sockets listen on this machine, and each of them would have to be hidden",
        "it takes 4096 sockets",
    ),
    ("ss -lx lists them", "it takes 4096 sockets"),
    ("as root: sysctl -w kernel.unprivileged_userns_clone=1", "it takes a kernel of Debian that is set so"),
    (
        "give cococtl an AppArmor profile with the rule \"userns,\" (see cococtl(1)), or as root: sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0",
        "it takes a kernel of Ubuntu that is set so",
    ),
    ("cannot read the answer", "it takes a terminal that goes while a question is on it"),
    ("the terminal", "it takes a terminal that goes at that moment"),
    ("cannot draw on this terminal", "it takes a terminal that goes at that moment"),
];

/// Errors that need no hint.
const NO_HINT: [(&str, &str); 4] = [
    ("cannot use the key files", "its cause knows what to do"),
    ("it is so", "the daemon's hints are its own"),
    ("it did not work", "the daemon's hints are its own"),
    ("nothing was removed", "somebody has answered so"),
];

fn pages() -> Vec<(String, String)> {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let pages = entries.filter(|path| path.extension().is_some_and(|its| its == "txt"));
    let mut pages: Vec<_> = pages
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    pages.sort();
    pages
}

/// The strings that `source` says, each with the file that it stands in.
fn said(source: &Source) -> Vec<String> {
    let own = makers(source);
    let mut said = Vec::new();
    for at in 0..source.tokens.len() {
        let call = SAYS.iter().find(|words| source.has(at, words)).map(|words| at + words.len() - 1);
        // A hint that follows success is none of an error.
        let call = call.filter(|_| at == 0 || !source.has(at - 1, &["out", ".", "hint", "("]));
        let own = matches!(&source.tokens[at], Token::Word(word) if own.contains(word) && source.has(at + 1, &["("]));
        if let Some(open) = call.or(own.then_some(at + 1)) {
            said.extend(source.texts(open, source.close(open)));
        }
    }
    for (file, function) in PARTS {
        if file == source.path {
            let (from, to) = source.body(function).unwrap_or_else(|| panic!("{file} has no {function}"));
            said.extend(source.texts(from, to));
        }
    }
    said
}

/// The functions and closures of this file that make errors of what they are given.
fn makers(source: &Source) -> BTreeSet<String> {
    let tokens = &source.tokens;
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => Some(word.clone()),
        Some(Token::Mark(_) | Token::Text(_)) | None => None,
    };
    let mut makers = BTreeSet::new();
    for at in 0..tokens.len() {
        if source.has(at, &["fn"]) {
            let open = (at..tokens.len()).find(|at| source.has(*at, &["{"])).unwrap_or(tokens.len());
            if (at..open).any(|at| source.has(at, &["-", ">", "Fail", "{"])) {
                makers.extend(word(at + 1));
            }
        }
        if source.has(at, &["let"]) && source.has(at + 2, &["=", "|"]) {
            let end = (at..tokens.len()).find(|at| source.has(*at, &[";"])).unwrap_or(tokens.len());
            if (at..end).any(|at| source.has(at, &["Fail", ":"]) || source.has(at, &["Failed", ":"])) {
                makers.extend(word(at + 1));
            }
        }
    }
    makers
}

/// What thiserror displays of the errors in a file.
fn displayed(source: &Source) -> Vec<String> {
    let errors = (0..source.tokens.len()).filter(|at| source.has(*at, &["#", "[", "error", "("]));
    errors.flat_map(|at| source.texts(at + 3, source.close(at + 3))).collect()
}

#[test]
fn everything_that_can_be_said_is_shown() {
    let pages: String = pages().into_iter().map(|(_, text)| text).collect();
    let is_shown = |text: &str| pages.lines().any(|line| !line.starts_with('$') && is_in(line, text));
    let mut sources = below("cli/src");
    sources.retain(|source| source.path != "cli/src/manual.rs");
    let own =
        sources.iter().flat_map(|source| said(source).into_iter().map(|text| (source.path.clone(), text)));
    let mut texts: BTreeSet<(String, String)> = own.collect();
    for file in REASONS {
        let source = below(file).remove(0);
        texts.extend(displayed(&source).into_iter().map(|text| (file.to_owned(), text)));
    }
    // Shorter ones are parts of something, and a warning ends nothing.
    texts.retain(|(_, text)| text.contains(' ') && text.trim().len() > 8 && !text.starts_with("warning: "));
    assert!(texts.len() > 200, "{} texts were found", texts.len());

    let excepted = |text: &str| NOT_SHOWN.iter().any(|(known, _)| *known == text);
    let missing: Vec<_> = texts.iter().filter(|(_, text)| !excepted(text) && !is_shown(text)).collect();
    assert!(missing.is_empty(), "no page shows: {missing:#?}");
    let stale: Vec<_> = NOT_SHOWN
        .iter()
        .filter(|(known, _)| is_shown(known) || !texts.iter().any(|(_, text)| text == known))
        .collect();
    assert!(stale.is_empty(), "said nowhere, or shown: {stale:#?}");
}

#[test]
fn every_command_is_refused_something() {
    let page = fs::read_to_string(directory().join("usage.txt")).unwrap();
    let all = commands();
    assert!(all.len() > 40, "{} commands were found", all.len());
    for command in all {
        let line =
            format!("$ cococtl {} --shout\nerror: unexpected argument '--shout' found\n", command.join(" "));
        assert!(page.contains(&line), "{line}");
    }
}

/// One error: what is said, line by line, and its exit code.
struct Entry<'a> {
    page: &'a str,
    said: Vec<&'a str>,
    code: u8,
}

fn entries<'a>(pages: &'a [(String, String)]) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    for (page, text) in pages {
        let mut said = Vec::new();
        for line in text.lines() {
            let code = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')?.parse().ok());
            match code {
                Some(code) => entries.push(Entry { page, said: std::mem::take(&mut said), code }),
                None if line.is_empty() || line.starts_with(['#', '$', '|']) => {}
                None => said.push(line),
            }
        }
    }
    entries
}

#[test]
fn errors_have_one_style() {
    let pages = pages();
    let documented = [1, 2, 3, 4, 5, 6, 7, 8, 9, 126, 127, 130];
    let mut used = BTreeSet::new();
    for Entry { page, said, code } in entries(&pages) {
        let about = said.join("\n");
        used.insert(code);
        let errors: Vec<&&str> = said.iter().filter(|line| line.starts_with("error: ")).collect();
        // Before it there may be advice about something else.
        let behind = said.iter().skip_while(|line| !line.starts_with("error: "));
        let hints: Vec<&&str> = behind.filter(|line| line.starts_with("hint: ")).collect();
        if [7, 9, 130].contains(&code) && errors.is_empty() {
            continue;
        }
        let [error] = errors.as_slice() else { panic!("{page}: {} errors: {about}", errors.len()) };
        assert!(documented.contains(&code), "{page}: status {code}: {about}");
        let message = &error["error: ".len()..];
        assert!(!message.ends_with('.') && !message.starts_with("error"), "{page}: {about}");
        let first = message.chars().next().unwrap();
        assert!(
            !first.is_uppercase() || message.starts_with("ALARM") || message.starts_with("COCO_"),
            "{page}: {about}"
        );
        let excepted = NO_HINT.iter().any(|(known, _)| is_in(message, known));
        assert!(hints.len() == 1 || excepted && hints.is_empty(), "{page}: {} hints: {about}", hints.len());
        assert!(hints.is_empty() || said.last() == Some(hints[0]), "{page}: more behind the hint: {about}");
    }
    assert!(documented.iter().all(|code| used.contains(code)), "shown are only {used:?}");
}

#[test]
fn a_hint_that_is_a_command_is_one() {
    let pages = pages();
    let mut tried = BTreeSet::new();
    for Entry { page, said, .. } in entries(&pages) {
        let hints = said.iter().filter_map(|line| line.strip_prefix("hint: "));
        for command in hints.flat_map(crate::pages::commands_in) {
            if tried.insert(command.clone()) {
                let words = crate::pages::asking_for_help(&command);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let Ended { code, err, .. } = Ended::of(&mut cococtl(&words));
                assert_eq!(code, 0, "{page}: {command}: {err}");
            }
        }
    }
    assert!(tried.len() > 30, "{} commands were found", tried.len());
}
