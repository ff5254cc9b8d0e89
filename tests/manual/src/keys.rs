//! Which keys a configuration has: by its page, by its example and by its parser.
//!
//! A key is called by its table and name, `tunnel.max_clients`; a key outside of all tables by its name.

use std::collections::{BTreeMap, BTreeSet};

use crate::mdoc::plain;

/// What no configuration calls a key.
const NO_KEY: &str = "no_such_key";

/// The keys of a page with their defaults, as TOML. The page shows a table as `.Ss \(lBtable\(rB` and a key in it as
/// `.It Ic key = default`; what comes before the first table belongs to none.
pub fn of_page(page: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let mut table = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix(".Ss ").or_else(|| line.strip_prefix(".Sh ")) {
            let title = plain(title);
            let name = title.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            table = name.unwrap_or_default().trim_matches(['[', ']']).to_owned();
        }
        let Some((key, value)) = line.strip_prefix(".It Ic ").and_then(|item| item.split_once(" = ")) else {
            continue;
        };
        let before = keys.insert(called(&table, key), plain(value));
        assert!(before.is_none(), "{} is described twice", called(&table, key));
    }
    keys
}

/// The keys of an example with their values, as TOML. A key behind a `#` is one as well.
pub fn of_example(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let mut table = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']).to_owned();
        }
        let line = line.strip_prefix('#').unwrap_or(line);
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let is_key = |c: char| c.is_ascii_lowercase() || c == '_';
        if !key.is_empty() && key.chars().all(is_key) {
            keys.entry(called(&table, key)).or_insert_with(|| value.to_owned());
        }
    }
    keys
}

/// The keys that a parser knows, by what it says of one that there cannot be. `tables` are those whose names it does not
/// know itself, such as `plans.free`.
pub fn of_parser(refused: impl Fn(&str) -> Option<String>, tables: &[&str]) -> BTreeSet<String> {
    let table = |name: &str| known(&refused, &format!("[{name}]\n"));
    let mut keys = BTreeSet::new();
    for key in known(&refused, "").expect("the parser names its keys") {
        match table(&key) {
            Some(below) => keys.extend(below.iter().map(|name| called(&key, name))),
            None => drop(keys.insert(key)),
        }
    }
    for name in tables {
        let below = table(name).expect("the parser names the keys of the table");
        keys.extend(below.iter().map(|key| called(name, key)));
    }
    keys
}

/// The same of one list of tables, `[[name]]`.
pub fn of_list(refused: impl Fn(&str) -> Option<String>, name: &str) -> BTreeSet<String> {
    let below = known(&refused, &format!("[[{name}]]\n")).expect("the parser names the keys of the list");
    below.iter().map(|key| called(name, key)).collect()
}

/// The keys that can stand behind `head`, if the parser says so.
fn known(refused: impl Fn(&str) -> Option<String>, head: &str) -> Option<Vec<String>> {
    let told = refused(&format!("{head}{NO_KEY} = 1\n")).filter(|told| told.contains(NO_KEY))?;
    let (_, list) = told.split_once(", expected ")?;
    Some(list.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

fn called(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_an_example_name_their_keys() {
        let page = ".Sh KEYS\n.It Ic top = 1\n.Ss \\(lBnode\\(rB\n.It Ic name = \\(dq\\(dq\ntext\n.Ss [[grants]]\n.It Ic user = 2\n";
        let expected = [("top", "1"), ("node.name", "\"\""), ("grants.user", "2")];
        let expected = BTreeMap::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(of_page(page), expected);
        let example = "# A comment = text\ntop = 1\n[node]\n# more\n#name = \"\"\n[[grants]]\nuser = 2\n[[grants]]\nuser = 3\n";
        assert_eq!(of_example(example), expected);
    }

    #[test]
    fn a_parser_is_asked_for_what_it_does_not_know() {
        let refused = |text: &str| match text.lines().next()? {
            "[node]" => Some("unknown field `no_such_key`, expected `name`".to_owned()),
            "[top]" => Some("invalid type: map, expected an integer".to_owned()),
            "[plans.x]" => Some("unknown field `no_such_key`, expected `a` or `b`".to_owned()),
            _ => Some("unknown field `no_such_key`, expected one of `top`, `node`".to_owned()),
        };
        let expected = ["node.name", "plans.x.a", "plans.x.b", "top"];
        assert!(of_parser(refused, &["plans.x"]).iter().eq(expected));
    }
}
