//! The pages are good `mdoc`, and lead to pages that are there.

use std::process::Command;

use coco_manual::{directory, pages};

/// What `mandoc` says of references to pages that are not installed on this machine.
const NOT_INSTALLED: [&str; 2] = ["referenced manual not found", "outdated mandoc.db"];

#[test]
fn mandoc_finds_nothing_to_complain_of() {
    let out = Command::new("mandoc")
        .args(["-Tlint", "-Wstyle"])
        .args(pages().keys().map(|name| directory().join(name)))
        .output()
        .expect("mandoc runs: install Debian's package mandoc");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let complaints: Vec<&str> =
        said.lines().filter(|line| !NOT_INSTALLED.iter().any(|said| line.contains(said))).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_reference_leads_to_a_page_that_is_there() {
    let pages = pages();
    for (name, text) in &pages {
        for line in text.lines().filter_map(|line| line.strip_prefix(".Xr ")) {
            let mut words = line.split(' ');
            let (page, section) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let ours = page.starts_with("coco") || page.ends_with(".toml");
            let file = format!("{page}.{section}");
            assert!(!ours || pages.contains_key(&file), "{name}: {file} is not there");
            assert!(file != *name, "{name} leads to itself");
        }
    }
}

#[test]
fn a_page_is_called_what_its_title_says() {
    for (name, text) in pages() {
        let title = text.lines().find_map(|line| line.strip_prefix(".Dt ")).unwrap_or_default();
        let (page, section) = title.split_once(' ').unwrap_or_default();
        assert_eq!(format!("{}.{section}", page.to_lowercase()), name.to_lowercase());
        let has = |section: &str| text.contains(&format!("\n.Sh {section}\n"));
        assert!(has("NAME") && has("DESCRIPTION") && has("SEE ALSO"), "{name} lacks a section");
    }
}
