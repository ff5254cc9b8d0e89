//! What the daemon reports. It says the same whoever plays it, so the page has what its sources say: each message with
//! its hint and its kind, with braces in the place of what differs, printed as `cococtl` prints it.
//!
//! A message that is handed over from elsewhere is shown where it comes from: the ledger's refusals by their words.

use std::sync::{Arc, Mutex};

use coconet::control::ErrorKind;
use coconet::ledger::Violation;
use serde_json::{Value, json};

use super::page::Page;
use super::sources::{Source, Token, below};
use crate::daemon::{Daemon, Ended, http};

/// One failure of the sources.
#[derive(Debug, PartialEq)]
struct Reported {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

/// The functions that make a failure, and of which kind; `new` is told.
const MAKERS: [(&str, Option<ErrorKind>); 5] = [
    ("new", None),
    ("failed", Some(ErrorKind::Failed)),
    ("usage", Some(ErrorKind::Usage)),
    ("not_found", Some(ErrorKind::NotFound)),
    ("timed_out", Some(ErrorKind::TimedOut)),
];

/// What no command hears of.
const UNHEARD: [(&str, &str); 5] = [
    ("nobody waits for it any more", "nobody does"),
    ("nobody introduces them", "it is the cause of another failure"),
    ("a damaged listen address in the state", "it is for the log, at the daemon's start"),
    ("the exchange ended", "it is for the log, of a tunnel"),
    ("closed", "it is for the log, of a tunnel"),
];

/// What is said in a file, in its order; without words where they come from elsewhere. A failure that is only the cause
/// of another one is left out.
fn reported(source: &Source) -> Vec<Reported> {
    let of_fault = |at: usize| {
        source.has(at, &["Fault", ":", ":"])
            || source.path == "src/fault.rs" && source.has(at, &["Self", ":", ":"])
    };
    let mut found = Vec::new();
    for at in (0..source.tokens.len()).filter(|at| of_fault(*at)) {
        let maker = MAKERS.iter().find(|(name, _)| source.has(at + 3, &[name, "("]));
        let Some((_, kind)) = maker else { continue };
        if source.has(at - 4, &["because", "(", "&"]) || source.has(at - 3, &["because", "(", "&"]) {
            continue;
        }
        let end = source.close(at + 4);
        let Some(kind) = kind.or_else(|| kind_in(source, at, end)) else { continue };
        let mut messages = said(source, at + 4, end);
        messages.retain(|message| message.contains(char::is_alphabetic));
        if messages.is_empty() {
            messages.push(String::new());
        }
        messages.retain(|message| !UNHEARD.iter().any(|(unheard, _)| unheard == message));
        let hints = hints(source, at, end);
        for message in messages {
            let without = [None];
            let each: Vec<Option<String>> = hints.iter().cloned().map(Some).collect();
            for hint in if each.is_empty() { without.as_slice() } else { &each } {
                found.push(Reported { kind, message: message.clone(), hint: hint.clone() });
            }
        }
    }
    found.dedup();
    found
}

fn kind_in(source: &Source, from: usize, to: usize) -> Option<ErrorKind> {
    let at = (from..to).find(|at| source.has(*at, &["ErrorKind", ":", ":"]))?;
    let Token::Word(name) = &source.tokens[at + 3] else { return None };
    // JSON spells them in kebab-case.
    let kebab: String = name.chars().enumerate().fold(String::new(), |kebab, (at, letter)| {
        let dash = if at > 0 && letter.is_uppercase() { "-" } else { "" };
        format!("{kebab}{dash}{}", letter.to_lowercase())
    });
    serde_json::from_value(Value::String(kebab)).ok()
}

/// The texts between two places, or those of the variable that stands there.
fn said(source: &Source, from: usize, to: usize) -> Vec<String> {
    let texts = source.texts(from, to);
    let variable = match &source.tokens[to - 2] {
        Token::Word(name) if texts.is_empty() => name.as_str(),
        Token::Word(_) | Token::Mark(_) | Token::Text(_) => return texts,
    };
    bound_to(source, variable, from)
}

/// The texts of the variable that was bound last before `from`.
fn bound_to(source: &Source, variable: &str, from: usize) -> Vec<String> {
    let bound = (0..from).rev().take(120).find(|at| source.has(*at, &["let", variable, "="]));
    let Some(bound) = bound else { return Vec::new() };
    let end = (bound..from).find(|at| source.has(*at, &[";"])).unwrap_or(from);
    source.texts(bound, end)
}

/// What it is followed by as hints: at once, or where the variable is used that it is bound to.
fn hints(source: &Source, at: usize, end: usize) -> Vec<String> {
    let hint_from = |mut next: usize| loop {
        if source.has(next, &[".", "because", "("]) {
            next = source.close(next + 2);
        } else if source.has(next, &[".", "hint", "("]) {
            return source.texts(next + 2, source.close(next + 2)).into_iter().next();
        } else {
            return None;
        }
    };
    if let Some(hint) = hint_from(end) {
        return vec![hint];
    }
    let bound = |name: &str| source.has(at - 3, &["let", name, "="]);
    let Some(Token::Word(name)) = source.tokens.get(at - 2).filter(|_| source.has(at - 1, &["="])) else {
        return Vec::new();
    };
    if !bound(name) {
        return Vec::new();
    }
    let rest = (end..source.tokens.len()).take_while(|at| !source.has(*at, &["fn"]));
    rest.filter(|at| source.has(*at, &[name])).filter_map(|at| hint_from(at + 1)).collect()
}

/// What the words mean by which the ledger and managers refuse.
fn words(fault: &Source) -> Vec<(String, ErrorKind, String)> {
    let at = (0..fault.tokens.len()).find(|at| fault.has(*at, &["const", "WORDS"])).unwrap();
    let open = (at..fault.tokens.len()).find(|at| fault.has(*at, &["=", "["])).unwrap() + 1;
    let rows = (open..fault.close(open)).filter(|at| fault.has(*at, &["("]));
    let row = |at: usize| {
        let end = fault.close(at);
        let texts = fault.texts(at, end);
        let [word, hint] = texts.as_slice() else { panic!("{texts:?}") };
        (word.clone(), kind_in(fault, at, end).unwrap(), hint.clone())
    };
    rows.map(row).collect()
}

/// The values that the ledger refuses.
fn values(source: &Source) -> Vec<(String, String)> {
    let sites = (0..source.tokens.len()).filter(|at| source.has(*at, &["Violation", ":", ":", "Value", "("]));
    let texts = sites.flat_map(|at| source.texts(at + 4, source.close(at + 4)));
    texts.map(|text| ("bad-value".to_owned(), text)).collect()
}

/// What managers refuse, with the word for it; the ledger's own refusals they hand on.
fn by_managers() -> Vec<(String, String)> {
    let wire = below("coconet/src/wire/manager.rs").remove(0);
    let mut refused = Vec::new();
    for source in below("manager/src") {
        for at in (0..source.tokens.len()).filter(|at| source.has(*at, &["refuse", "("])) {
            let end = source.close(at + 1);
            let (word, rest) = match (&source.tokens[at + 2], &source.tokens[at + 5]) {
                (Token::Text(word), _) => (word.clone(), at + 3),
                (_, Token::Word(name)) => match wire.constant(name) {
                    Some(word) => (word, at + 6),
                    None => continue,
                },
                (_, _) => continue,
            };
            refused.extend(said(&source, rest, end).into_iter().map(|message| (word.clone(), message)));
        }
    }
    // Of a copied state directory the daemon tells in words of its own.
    refused.retain(|(word, _)| word != "cloned");
    refused
}

/// One refusal of each sort.
fn violations() -> Vec<Violation> {
    let name = || "door".parse().unwrap();
    vec![
        Violation::NotMember,
        Violation::NotAllowed { who: "a guest", what: "invite an app" },
        Violation::Genesis,
        Violation::Proof,
        Violation::InviteUnknown,
        Violation::InviteExpired,
        Violation::InviteRevoked,
        Violation::InviteUsed,
        Violation::InviterGone,
        Violation::NameTaken(name()),
        Violation::KeyReused,
        Violation::NoSuchNode,
        Violation::NoSuchResource(name()),
        Violation::NoSuchUser(name()),
        Violation::NoSuchGrant { user: name(), resource: name() },
        Violation::LastOwner,
        Violation::Limit { limit: 256, of: "users" },
    ]
}

#[test]
fn what_the_daemon_can_report_is_told_with_its_hint_and_its_kind() {
    let answer = Arc::new(Mutex::new((0, Value::Null)));
    let now = Arc::clone(&answer);
    let mut page = Page::new("daemon");
    page.with(Daemon::new(move |_| {
        let (status, body) = &*now.lock().unwrap();
        http(*status, body.to_string().as_bytes())
    }));
    let mut tells = |how: &str, Reported { kind, message, hint }: &Reported| {
        let error = json!({"kind": kind, "message": message, "causes": [], "hint": hint});
        *answer.lock().unwrap() = (kind.http_status(), json!({"version": 1, "error": error}));
        let ended = Ended::of(&mut page.shell("cococtl status"));
        page.tells(how, "cococtl status", &ended);
    };
    // What only the daemon's own start can say never reaches a command.
    let sources: Vec<Source> =
        below("src").into_iter().filter(|source| source.path != "src/main.rs").collect();
    let mut wordless: Vec<String> = Vec::new();
    for source in &sources {
        let (told, from_elsewhere): (Vec<_>, Vec<_>) =
            reported(source).into_iter().partition(|one| !one.message.is_empty());
        for (number, one) in told.iter().enumerate() {
            tells(if number == 0 { &source.path } else { "" }, one);
        }
        wordless.extend(from_elsewhere.iter().map(|_| source.path.clone()));
    }
    // What hyper refuses, what the configuration holds, and the makers themselves.
    wordless.retain(|path| path != "src/fault.rs");
    assert_eq!(wordless, ["src/control.rs", "src/daemon/mod.rs"], "failures whose words cannot be found");
    let fault = sources.iter().find(|source| source.path == "src/fault.rs").unwrap();
    let words = words(fault);
    let by_ledger = violations().into_iter().map(|one| (one.code().to_owned(), one.to_string())).collect();
    let values = below("coconet/src/ledger").into_iter().flat_map(|source| values(&source)).collect();
    for (who, refusals) in
        [("the ledger", by_ledger), ("the ledger, of values", values), ("managers", by_managers())]
    {
        for (number, (word, message)) in refusals.into_iter().enumerate() {
            let known = words.iter().find(|(known, ..)| *known == word);
            let (_, kind, hint) = known.unwrap_or_else(|| panic!("{word} is not known to the daemon"));
            let one = Reported { kind: *kind, message, hint: Some(hint.clone()) };
            tells(if number == 0 { who } else { "" }, &one);
        }
    }
    page.compare();
}
