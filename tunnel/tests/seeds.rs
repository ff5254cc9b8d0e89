//! The seeds of the fuzz targets that drive this crate, replayed without a fuzzer.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(unreachable_pub, reason = "it is the fuzz crate's module, where they are reachable")]
#[path = "../../fuzz/src/tunnel.rs"]
mod targets;

#[expect(unreachable_pub, reason = "it is the fuzz crate's module, where they are reachable")]
#[path = "../../fuzz/src/ip.rs"]
mod ip;

#[expect(unreachable_pub, reason = "it is the fuzz crate's module, where they are reachable")]
#[path = "../../fuzz/src/mqtt.rs"]
mod mqtt;

#[expect(unreachable_pub, reason = "it is the fuzz crate's module, where they are reachable")]
#[path = "../../fuzz/src/rtsp.rs"]
mod rtsp;

use std::fs;
use std::path::Path;

#[test]
fn every_seed_is_taken_for_what_its_name_says() {
    for (target, body) in targets::TARGETS.iter().chain(ip::TARGETS).chain(mqtt::TARGETS).chain(rtsp::TARGETS)
    {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
        let files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() > 3, "{target} has seeds");
        for file in files {
            let bad = file.file_name().unwrap().to_string_lossy().starts_with("bad-");
            assert_eq!(body(&fs::read(&file).unwrap()), !bad, "{}", file.display());
        }
    }
}

/// Each byte of a handshake changed in turn: every one of them is noticed.
#[test]
fn no_byte_of_a_handshake_can_be_changed() {
    let mut place = 0u16;
    // A place behind the end changes nothing, and the handshake completes.
    while !targets::handshake(&[&[3, 255], &place.to_be_bytes()[..], &[0x40]].concat()) {
        place += 1;
    }
    assert!(place > 2500, "the handshake was {place} bytes long");
}
