//! Tables of roles, reasons, codes and domains.

use std::collections::BTreeSet;
use std::fs;

use coconet::resource::Kind;
use coconet::role::{Role, TABLE};
use coconet::wire::code::{Close, Reset};

use crate::pages::{code, files, page, root, rows};

fn sources() -> String {
    let crates = ["src", "coconet/src", "tunnel/src", "manager/src", "cli/src", "sandbox/src"];
    let files = crates.iter().flat_map(|name| files(&root().join(name), "rs"));
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn who_may_do_what_is_the_table_that_decides() {
    let told = rows(&page("protocol.md"), "action");
    let decides = TABLE.iter().map(|(_, what, roles)| {
        let may = [Role::Owner, Role::Admin, Role::Guest]
            .map(|role| if roles.contains(&role) { "yes" } else { "" });
        [what, may[0], may[1], may[2]].map(str::to_owned).to_vec()
    });
    assert_eq!(told, decides.collect::<Vec<_>>());
}

#[test]
fn codes_of_closes_and_resets_are_all_there() {
    let told: Vec<(u64, String)> = rows(&page("protocol.md"), "code")
        .into_iter()
        .filter(|row| row[1].starts_with('`'))
        .map(|row| (row[0].parse().unwrap(), code(&row[1]).to_owned()))
        .collect();
    let close =
        (0..).map_while(|number| Close::from_number(number).map(|code| (number, code.as_str().to_owned())));
    let reset =
        (0..).map_while(|number| Reset::from_number(number).map(|code| (number, code.as_str().to_owned())));
    assert_eq!(told, close.chain(reset).collect::<Vec<_>>());
}

#[test]
fn capabilities_are_those_of_the_kinds() {
    let protocol = page("protocol.md");
    let told = rows(&protocol, "kind").into_iter().filter(|row| row.len() == 2);
    let known = Kind::ALL.map(|kind| {
        let words: Vec<String> = kind.capabilities().iter().map(|word| format!("`{word}`")).collect();
        vec![kind.as_str().to_owned(), words.join(", ")]
    });
    assert_eq!(told.collect::<Vec<_>>(), known);
}

#[test]
fn every_domain_of_a_digest_or_a_signature_is_told() {
    let told: BTreeSet<String> = rows(&page("protocol.md"), "domain")
        .iter()
        .flat_map(|row| row[0].split(", ").map(|word| code(word).to_owned()).collect::<Vec<_>>())
        .collect();
    let sources = sources();
    let quoted = |text: &str| text.split('"').next().unwrap_or_default().to_owned();
    let of =
        sources.split("Hash::of(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"').map(quoted));
    let named = sources.split("DOMAIN: &str = \"").skip(1).map(quoted);
    let used: BTreeSet<String> = of.chain(named).filter(|domain| domain.starts_with("coco")).collect();
    assert_eq!(told, used);
}

#[test]
fn every_reason_of_the_ledger_and_word_of_the_manager_is_one() {
    let (protocol, sources) = (page("protocol.md"), sources());
    let reasons = rows(&protocol, "rule").into_iter().map(|row| row[1].clone());
    let of_ops = rows(&protocol, "op").into_iter().map(|row| row[2].clone());
    let words = rows(&protocol, "word").into_iter().map(|row| row[0].clone());
    let mut told = 0;
    for cell in reasons.chain(of_ops).chain(words).filter(|cell| cell.starts_with('`')) {
        for word in cell.split(", ") {
            assert!(sources.contains(&format!("\"{}\"", code(word))), "{word} is no word of the programs");
            told += 1;
        }
    }
    assert!(told > 40, "{told} words were found");
}

/// The keys and fields of a struct, or the numbers and names of an enum's variants, in a source file.
fn numbered(source: &str, begins: &str) -> Vec<(u64, String)> {
    let (_, rest) = source.split_once(begins).unwrap_or_else(|| panic!("no {begins}"));
    let body = rest.split("\n}\n").next().unwrap();
    let mut found = Vec::new();
    let mut number = None;
    // Fields of variants stand deeper, and are none of its own.
    for line in
        body.lines().filter_map(|line| line.strip_prefix("    ").filter(|line| !line.starts_with(' ')))
    {
        if let Some(rest) = line.strip_prefix("#[n(").or_else(|| line.strip_prefix("#[cbor(n(")) {
            number = rest.split(')').next().unwrap().parse().ok();
        } else if let (false, Some(own)) = (line.starts_with("///"), number) {
            let line = line.trim_start_matches("pub(super) ").trim_start_matches("pub ");
            let name = line.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            found.push((own, name.to_lowercase()));
            number = None;
        }
    }
    found
}

/// `{0 name, 1 kind: index (0 user, 1 developer)}` as keys and fields.
fn fields(payload: &str) -> Vec<(u64, String)> {
    let mut depth = 0;
    let flat: String = payload
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        })
        .collect();
    let inner = flat.trim_start_matches('{').trim_end_matches('}');
    let pairs = inner.split(", ").filter_map(|piece| piece.split_once(' '));
    let key = |(key, rest): (&str, &str)| {
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        Some((key.parse().ok()?, name.to_owned()))
    };
    pairs.filter_map(key).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

#[test]
fn every_op_is_told_with_all_its_fields() {
    let (protocol, source) = (page("protocol.md"), read("coconet/src/ledger/op.rs"));
    let ops: Vec<Vec<String>> =
        rows(&protocol, "code").into_iter().filter(|row| row[2].starts_with('{')).collect();
    assert_eq!(ops.len(), source.matches("\n#[cbor(map)]\n").count(), "as many as there are payloads");
    for row in ops {
        let words = row[1].split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        let begins = format!("\npub struct {} {{\n", words.collect::<String>());
        assert_eq!(fields(&row[2]), numbered(&source, &begins), "{}", row[1]);
    }
}

#[test]
fn the_state_is_told_with_all_its_parts() {
    let source = read("coconet/src/ledger/state.rs");
    let told = rows(&page("protocol.md"), "key").into_iter().map(|row| {
        let name = row[1].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
        (row[0].parse().unwrap(), name)
    });
    assert_eq!(told.collect::<Vec<_>>(), numbered(&source, "\npub struct State {\n"));
}

#[test]
fn every_message_is_told_with_its_number() {
    let protocol = page("protocol.md");
    let told = |first: &str| -> Vec<(u64, String)> {
        let rows = rows(&protocol, first).into_iter();
        let variant = |row: Vec<String>| {
            let words: Vec<&str> = row[0].split(' ').collect();
            (words[1].parse().unwrap(), words[2].to_owned())
        };
        rows.filter(|row| row[0].starts_with("variant ")).map(variant).collect()
    };
    let (node, manager) = (read("coconet/src/wire/node.rs"), read("coconet/src/wire/manager.rs"));
    let requests =
        [numbered(&node, "\npub enum Request {\n"), numbered(&manager, "\npub enum Request {\n")].concat();
    assert_eq!(told("request"), requests);
    assert_eq!(told("reply"), numbered(&node, "\npub enum Reply {\n"));
    assert_eq!(told("response"), numbered(&manager, "\npub enum Response {\n"));
}
