//! The manual pages say what the daemon does.

use clap::CommandFactory;
use coco_manual::keys;
use cocod::config;

use crate::Args;

#[test]
fn the_manual_describes_every_option() {
    coco_manual::hold(Args::command());
}

#[test]
fn the_manual_and_the_example_have_every_key_with_its_default() {
    let page = keys::of_page(&coco_manual::page("cocod.toml.5"));
    assert_eq!(page, keys::of_example(include_str!("../config.example.toml")));
    let parser = keys::of_parser(|text| config::parse(text).err().map(|error| error.to_string()), &[]);
    assert!(page.keys().eq(parser.iter()), "{parser:?}");
}
