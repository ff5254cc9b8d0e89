//! Links in Markdown lead to files that are there, and to headings in them.

use std::fs;
use std::path::Path;

use crate::pages::{files, prose, root};

/// What stands between `](` and `)`.
fn targets(text: &str) -> Vec<String> {
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned())).collect()
}

/// What a heading is linked by: its letters in lower case, with hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn has_heading(file: &Path, wanted: &str) -> bool {
    let text = prose(&fs::read_to_string(file).unwrap());
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    headings.into_iter().any(|heading| anchor(heading) == wanted)
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut lost = Vec::new();
    let mut followed = 0;
    for file in files(root(), "md") {
        for target in targets(&prose(&fs::read_to_string(&file).unwrap())) {
            if target.contains("://") {
                continue;
            }
            followed += 1;
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let there = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            if !there.exists() || !(heading.is_empty() || has_heading(&there, heading)) {
                lost.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(lost.is_empty(), "links that lead nowhere: {lost:#?}");
    assert!(followed > 20, "{followed} links were found");
}
