//! The commands that the manual and the README show work.
//!
//! Each page has a machine of its own ([`house`]): a real manager, real daemons, and on its LAN a camera, web pages and
//! a broker at the addresses that the examples use. There its commands are run one after the other as they stand, but
//! for what [`table`] says: what a person would put in, and which commands cannot be run in a test, with the reason.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use coco_manual::{examples, pages};

use crate::house::House;
use crate::support::programs::source;
use crate::table::{BEFORE, LEFT_OUT, left_out};

/// The pages and sections that show commands, with these.
fn shown() -> BTreeMap<String, Vec<String>> {
    let readme = fs::read_to_string(source("README.md")).unwrap();
    let sections = examples::of_markdown(&readme).into_iter();
    let sections = sections.map(|(title, commands)| (format!("README.md: {title}"), commands));
    let manual = pages().into_iter().map(|(name, text)| (name, examples::of_page(&text)));
    manual.chain(sections).collect()
}

/// Runs all commands of a page, and says which did not do what they should.
fn failures(page: &str, commands: &[String]) -> Vec<String> {
    if commands.iter().all(|command| left_out(command).is_some()) {
        return Vec::new();
    }
    let mut house = House::new();
    let run_well = |house: &mut House, command: &str| {
        let ran = house.run(command);
        assert_eq!(ran.code, 0, "{page}, beside the examples: {command}\n{}", ran.stderr);
    };
    table::before(page).into_iter().for_each(|command| run_well(&mut house, command));
    let mut failures = Vec::new();
    for command in commands.iter().filter(|command| left_out(command).is_none()) {
        let ran = house.run(&table::elsewhere(page, command));
        let expected = table::exit_code(page, command);
        if ran.code != expected {
            let told = format!("{}{}", ran.stdout, ran.stderr);
            failures.push(format!("{page}: $ {command}\nends with {} and not {expected}:\n{told}", ran.code));
        }
        table::after(command).iter().for_each(|command| run_well(&mut house, command));
    }
    failures
}

/// Runs the examples of all pages that are `wanted`.
fn all_work(wanted: impl Fn(&str) -> bool) {
    let pages = shown().into_iter().filter(|(page, _)| wanted(page));
    let failed: Vec<String> = pages.flat_map(|(page, commands)| failures(&page, &commands)).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_examples_of_the_manual_work() {
    all_work(|page| !page.starts_with("README.md"));
}

#[test]
fn the_examples_of_the_readme_work() {
    all_work(|page| page.starts_with("README.md"));
}

#[test]
fn pages_of_programs_have_examples() {
    for (name, text) in pages() {
        let program = name.ends_with(".1") || name.ends_with(".8");
        assert_eq!(!examples::of_page(&text).is_empty(), program, "{name}");
    }
}

#[test]
fn nothing_is_left_out_that_no_page_shows() {
    let shown = shown();
    let commands: BTreeSet<&String> = shown.values().flatten().collect();
    let unused: Vec<_> = LEFT_OUT
        .iter()
        .filter(|(begin, _)| !commands.iter().any(|command| command.starts_with(begin)))
        .collect();
    assert!(unused.is_empty(), "no page shows {unused:?}");
    let unused: Vec<_> =
        BEFORE.iter().filter(|(page, _)| !shown.contains_key(*page)).map(|(page, _)| page).collect();
    assert!(unused.is_empty(), "no page is called {unused:?}");
}
