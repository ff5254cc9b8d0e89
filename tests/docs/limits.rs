//! Limits in tables are those in the sources.

use crate::constants;
use crate::pages::{code, files, root, rows};

/// `32 KiB`, `10 s`, `4096`: durations in milliseconds, all else as a number.
fn quantity(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let unit = match unit {
        "" | "B" | "ms" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "s" => 1000,
        "min" => 60 * 1000,
        "h" => 3600 * 1000,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}

#[test]
fn every_constant_in_a_table_has_the_value_that_stands_there() {
    let mut compared = 0;
    for file in files(&root().join("docs"), "md") {
        let page = std::fs::read_to_string(&file).unwrap();
        for row in rows(&page, "constant") {
            let [name, said, at, ..] = row.as_slice() else { panic!("{row:?}") };
            let found = constants::value(code(at), code(name));
            assert_eq!(quantity(said), Some(found), "{}: {name} of {at}", file.display());
            compared += 1;
        }
    }
    assert!(compared > 90, "{compared} limits were found");
}
