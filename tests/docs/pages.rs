//! Reading Markdown, as far as the pages use it.

use std::fs;
use std::path::{Path, PathBuf};

/// The project's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of `docs/`.
pub(crate) fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// Files below `from` whose names end in `.extension`, those of others and of builds left out.
pub(crate) fn files(from: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_symlink() || name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rows of every table of `page` whose first heading is `first`, cell by cell.
pub(crate) fn rows(page: &str, first: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        let Some(line) = line.strip_prefix("| ") else {
            inside = false;
            continue;
        };
        let cells: Vec<String> =
            line.trim_end().trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        if cells[0] == first {
            inside = true;
        } else if inside && !cells[0].starts_with("---") {
            rows.push(cells);
        }
    }
    rows
}

/// The text of a cell in `code`.
pub(crate) fn code(cell: &str) -> &str {
    cell.strip_prefix('`')
        .and_then(|rest| rest.strip_suffix('`'))
        .unwrap_or_else(|| panic!("{cell} is no code"))
}

/// The fenced blocks of `page` that are marked as `language`.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let mark = format!("```{language}");
    let (mut blocks, mut block) = (Vec::new(), None::<String>);
    for line in page.lines() {
        match &mut block {
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None if line == mark => block = Some(String::new()),
            None => {}
        }
    }
    blocks
}

/// `page` without fenced blocks.
pub(crate) fn prose(page: &str) -> String {
    let mut fenced = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}
