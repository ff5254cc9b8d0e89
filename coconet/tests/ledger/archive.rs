//! A whole ledger in a file.

use coconet::cbor::CborError;
use coconet::ledger::archive::{ArchiveError, read, verify, write};
use coconet::ledger::{ENTRY_MAX, Entry, Op, Reject, Violation, stamp};

use crate::world::{BLIND, World, keys, name};

/// `G -> ... -> P -> W`, as bytes.
fn ledger() -> (World, Vec<Vec<u8>>) {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w.withdraws("cam", "door").unwrap();
    let bytes = w.entries.iter().map(Entry::to_bytes).collect();
    (w, bytes)
}

fn file(entries: &[Vec<u8>]) -> Vec<u8> {
    write(entries.iter().map(Vec::as_slice))
}

#[test]
fn a_written_ledger_is_read_back_and_verified_without_anybodys_help() {
    let (w, entries) = ledger();
    let back = read(&file(&entries)).unwrap();
    assert_eq!(back, w.entries);
    let mut seen = Vec::new();
    let verified =
        verify(&back, |before, entry| seen.push((before.map(|ledger| ledger.seq()), entry.hash())));
    assert_eq!(verified, Ok(w.ledger));
    // It tells each entry with the ledger before it.
    let before = (0..).map(Some).take(back.len() - 1);
    let expected = [None].into_iter().chain(before).zip(back.iter().map(Entry::hash));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[test]
fn the_file_is_a_line_and_each_entry_behind_its_length() {
    assert_eq!(
        file(&[vec![1, 2, 3], vec![4; 258]])[..],
        [&b"coco-ledger-1\n"[..], &[0, 0, 0, 3, 1, 2, 3], &[0, 0, 1, 2], &[4; 258],].concat()
    );
}

#[test]
fn another_file_is_none_of_these() {
    let (_, entries) = ledger();
    let mut later = file(&entries);
    later[12] = b'2';
    for other in [&b""[..], b"coco-ledger-1", b"coco-node-key-1\n", &later] {
        assert_eq!(read(other), Err(ArchiveError::Magic));
    }
    assert_eq!(ArchiveError::Magic.to_string(), "not a coco ledger file of this version");
}

#[test]
fn a_file_that_is_cut_off_says_after_how_many_entries() {
    let (_, entries) = ledger();
    let whole = file(&entries);
    let mut end = b"coco-ledger-1\n".len();
    for (number, entry) in (0..).zip(&entries) {
        // In the length, behind it, and in the entry's last byte.
        for cut in [end + 1, end + 3, end + 4, end + 4 + entry.len() / 2, end + 4 + entry.len() - 1] {
            assert_eq!(read(&whole[..cut]), Err(ArchiveError::Cut(number)), "at {cut}");
        }
        end += 4 + entry.len();
        // Between two entries it is a shorter ledger, and a true one.
        assert_eq!(read(&whole[..end]).map(|entries| entries.len() as u64), Ok(number + 1));
    }
    // Nothing but the first line is no ledger.
    assert_eq!(verify(&read(&file(&[])).unwrap(), |_, _| {}).map(drop), Err(ArchiveError::Cut(0)));
}

#[test]
fn what_is_no_entry_is_named_by_its_number() {
    let (_, entries) = ledger();
    let mut none = entries.clone();
    none[3] = vec![0xf6];
    assert!(matches!(
        read(&file(&none)),
        Err(ArchiveError::Malformed { seq: 3, source: CborError::Malformed(_) })
    ));
    let mut respelt = entries.clone();
    respelt[2].splice(..1, [0xb8, 0x02]);
    let source = CborError::NotCanonical;
    assert_eq!(read(&file(&respelt)), Err(ArchiveError::Malformed { seq: 2, source }));
    let mut empty = entries.clone();
    empty[1].clear();
    assert!(matches!(read(&file(&empty)), Err(ArchiveError::Malformed { seq: 1, .. })));
    // A length that no entry has is not waited for, nor made room for.
    let mut long = file(&entries[..1]);
    long.extend(u32::MAX.to_be_bytes());
    let source = CborError::TooLong { len: u32::MAX as usize, max: ENTRY_MAX };
    assert_eq!(read(&long), Err(ArchiveError::Malformed { seq: 1, source }));
}

#[test]
fn what_does_not_verify_is_named_by_its_number_with_the_reason() {
    let (w, _) = ledger();
    let check = |entries: &[Entry]| {
        let bytes: Vec<_> = entries.iter().map(Entry::to_bytes).collect();
        verify(&read(&file(&bytes)).unwrap(), |_, _| {}).map(drop)
    };
    let reject = |seq, source| Err(ArchiveError::Reject { seq, source });
    let whole = w.entries.clone();
    assert_eq!(check(&whole), Ok(()));
    // Out of order, one missing, the first missing, one twice.
    let mut other = whole.clone();
    other.swap(4, 5);
    assert_eq!(check(&other), reject(4, Reject::Sequence { expected: 4, found: 5 }));
    other = whole.clone();
    other.remove(4);
    assert_eq!(check(&other), reject(4, Reject::Sequence { expected: 4, found: 5 }));
    assert_eq!(check(&whole[1..]), reject(0, Reject::Network));
    other = whole.clone();
    other.insert(2, whole[1].clone());
    assert_eq!(check(&other), reject(2, Reject::Sequence { expected: 2, found: 1 }));
    // A body changed, or left out as for a guest.
    other = whole.clone();
    other[6].draft.body = None;
    assert_eq!(check(&other), reject(6, Reject::Op));
    // Stamped by who may not.
    other = whole.clone();
    other[3] = stamp(&keys(66), whole[3].draft.clone(), 3, whole[3].stamp.time);
    assert_eq!(check(&other), reject(3, Reject::Stamp));
    // Written by who may not, which only a manager that does not look would stamp.
    let op = Op::Withdraw(coconet::ledger::Withdraw { name: name("yard") });
    let draft = w.ledger.draft(&keys(66), &op, BLIND);
    other = whole.clone();
    other.push(stamp(&w.manager, draft, 9, w.now));
    assert_eq!(check(&other), reject(9, Violation::NotMember.into()));
    let text = ArchiveError::Reject { seq: 9, source: Violation::NotMember.into() }.to_string();
    assert_eq!(text, "entry 9 does not verify");
}
