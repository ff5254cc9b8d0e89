//! Messages that a page quotes are those of the programs.

use std::fs;

use crate::pages::{code, files, page, prose, root, rows};

/// What the sources say, one string to a line: without comments, strings that go over several lines joined.
fn said() -> Vec<String> {
    let crates = ["src", "coconet/src", "tunnel/src", "manager/src", "cli/src", "sandbox/src"];
    let files = crates.iter().flat_map(|name| files(&root().join(name), "rs"));
    let mut lines: Vec<String> = Vec::new();
    for file in files {
        let mut goes_on = false;
        for line in
            fs::read_to_string(file).unwrap().lines().filter(|line| !line.trim_start().starts_with("//"))
        {
            let (text, more) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
            match lines.last_mut() {
                Some(last) if goes_on => last.push_str(text.trim_start()),
                Some(_) | None => lines.push(text.to_owned()),
            }
            goes_on = more;
        }
    }
    lines
}

/// Whether one line holds the parts of `message` between its dots, in their order.
fn is_said(said: &[String], message: &str) -> bool {
    let parts: Vec<&str> = message.split('…').map(str::trim).filter(|part| !part.is_empty()).collect();
    assert!(parts.iter().map(|part| part.len()).sum::<usize>() > 6, "{message}: too little to look for");
    said.iter().any(|line| {
        let rest =
            parts.iter().try_fold(line.as_str(), |rest, part| rest.split_once(part).map(|(_, rest)| rest));
        rest.is_some()
    })
}

#[test]
fn every_message_that_heads_a_symptom_is_said_by_a_program() {
    let said = said();
    let page = prose(&page("troubleshooting.md"));
    let symptoms: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(symptoms.len() >= 25, "{} symptoms", symptoms.len());
    let quoted: Vec<&str> =
        symptoms.iter().filter_map(|symptom| symptom.strip_prefix('`')?.strip_suffix('`')).collect();
    assert!(quoted.len() >= 25, "{} messages", quoted.len());
    let unknown: Vec<&&str> = quoted.iter().filter(|message| !is_said(&said, message)).collect();
    assert!(unknown.is_empty(), "said by no program: {unknown:#?}");
}

#[test]
fn alarms_and_log_lines_for_operators_are_said_by_a_program() {
    let (said, page) = (said(), page("operating.md"));
    let told: Vec<Vec<String>> = rows(&page, "alarm").into_iter().chain(rows(&page, "line")).collect();
    let unknown: Vec<&str> =
        told.iter().map(|row| code(&row[0])).filter(|message| !is_said(&said, &quotes(message))).collect();
    assert!(told.len() > 12 && unknown.is_empty(), "said by no program: {unknown:#?}");
}

/// A line of a log is one word of the source at times: with its quotes it is that word and no other.
fn quotes(message: &str) -> String {
    if message.len() < 12 { format!("\"{message}\"") } else { message.to_owned() }
}
