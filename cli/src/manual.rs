//! The manual pages say what the command does.

use clap::CommandFactory;
use coco_manual::keys;

use crate::{apply, args};

#[test]
fn the_manual_describes_every_command() {
    coco_manual::hold(args::Args::command());
}

#[test]
fn the_manual_and_the_example_have_every_key_of_a_written_network() {
    let page = keys::of_page(&coco_manual::page("network.toml.5"));
    let mut example = keys::of_example(include_str!("../../network.example.toml"));
    // The keys of these tables are names of people, and tables of resources are called by theirs.
    example.retain(|key, _| !key.starts_with("users.") && !key.starts_with("resources.heating."));
    assert_eq!(page, example);
    let refused = |text: &str| apply::file::parse(text).err();
    let mut parser = keys::of_parser(refused, &["resources.front-door"]);
    parser.extend(keys::of_list(refused, "grants"));
    for table in ["users", "resources", "grants"] {
        assert!(parser.remove(table), "{table}");
    }
    assert!(page.keys().eq(parser.iter()), "{parser:?}");
}
