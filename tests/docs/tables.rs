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
