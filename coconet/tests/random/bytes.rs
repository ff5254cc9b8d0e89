//! Bytes that may be anything, through the bodies of the fuzz targets, which hold what must be true.

use std::fs;
use std::path::Path;

use coconet::cbor;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::net;
use crate::values::{answered, asked, entry, hello, op};

/// What happens to bytes on the way: this many are cut off, and some are written over, put in or left out.
#[derive(Debug, Clone)]
struct Damage {
    edits: Vec<(Index, u8, u8)>,
    cut: Option<Index>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let edits = vec((any::<Index>(), 0..4u8, any::<u8>()), 0..4);
    (edits, proptest::option::of(any::<Index>())).prop_map(|(edits, cut)| Damage { edits, cut })
}

impl Damage {
    fn done_to(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for (at, how, byte) in &self.edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = *byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, *byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Some(cut) = &self.cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        bytes
    }
}

proptest! {
    #[test]
    fn no_bytes_upset_a_decoder(bytes in vec(any::<u8>(), 0..400)) {
        for (_, body) in net::TARGETS {
            body(&bytes);
        }
    }

    #[test]
    fn no_text_upsets_a_parser(text in "(coco1|mgr1|rtsp://|http://|unix://|tcp://)?\\PC{0,80}(@\\PC{0,20}:[0-9]{0,6})?") {
        net::invite(text.as_bytes());
        net::control_json(text.as_bytes());
    }

    #[test]
    fn no_damage_to_good_bytes_upsets_a_decoder(
        op in op(),
        entry in entry(),
        hello in hello(),
        asked in asked(),
        answered in answered(),
        damage in damage(),
    ) {
        net::ledger_entry(&damage.done_to(op.to_bytes()));
        net::ledger_entry(&damage.done_to(entry.to_bytes()));
        net::hello(&damage.done_to(cbor::encode(&hello)));
        net::stream_header(&damage.done_to(cbor::encode(&asked)));
        net::stream_header(&damage.done_to(cbor::encode(&answered)));
    }

    #[test]
    fn no_damage_to_a_seed_upsets_its_target(which: Index, damage in damage()) {
        let (target, body) = which.get(net::TARGETS);
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
        for file in fs::read_dir(dir).unwrap() {
            body(&damage.done_to(fs::read(file.unwrap().path()).unwrap()));
        }
    }
}
