//! The manual pages say what the manager does.

use clap::CommandFactory;
use coco_manager::config::{self, Listen};
use coco_manual::keys;

use crate::cli::Cli;

#[test]
fn the_manual_describes_every_command() {
    coco_manual::hold(Cli::command());
}

#[test]
fn the_manual_and_the_sample_have_every_key_with_its_default() {
    let page = keys::of_page(&coco_manual::page("manager.toml.5"));
    let listen = Listen::new(vec!["0.0.0.0:4433".parse().expect("an address")]).expect("a place to listen");
    let sample = config::sample(&listen, &"manager.example.org:4433".parse().expect("a public address"));
    assert_eq!(page, keys::of_example(&sample));
    let refused = |text: &str| config::parse(text).err().map(|error| error.to_string());
    let mut parser = keys::of_parser(refused, &["plans.free"]);
    assert!(parser.remove("plans"));
    assert!(page.keys().eq(parser.iter()), "{parser:?}");
}
