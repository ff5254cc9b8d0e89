#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

#[test]
fn frames_are_these_bytes() {
    let known: [(Frame<'_>, &[u8]); 6] = [
        (Frame::Punch, &[0]),
        (
            Frame::Data { channel: 0x0102_0304_0506_0708, payload: b"\x40q" },
            &[1, 1, 2, 3, 4, 5, 6, 7, 8, 0x40, b'q'],
        ),
        (Frame::Gone { channel: 0xff }, &[2, 0, 0, 0, 0, 0, 0, 0, 0xff]),
        (
            Frame::Ask { token: 0xa0b0, proof: [0; PROOF_LEN] },
            &[
                3, 0, 0, 0, 0, 0, 0, 0xa0, 0xb0, // token
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        ),
        (
            Frame::Seen { token: 1, address: "203.0.113.7:4433".parse().unwrap() },
            &[4, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0x11, 0x51, 203, 0, 113, 7],
        ),
        (
            Frame::Seen { token: 1, address: "[2001:db8::7]:1".parse().unwrap() },
            &[
                4, 0, 0, 0, 0, 0, 0, 0, 1, 6, 0, 1, // token, family, port
                0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,
            ],
        ),
    ];
    for (frame, bytes) in known {
        assert_eq!(encoded(&frame), bytes, "{frame:?}");
        assert_eq!(Frame::parse(bytes), Some(frame));
        assert_eq!(bytes[0] & QUIC_BIT, 0);
    }
}

#[test]
fn an_answer_is_no_longer_than_its_question() {
    let seen = Frame::Seen { token: 1, address: "[2001:db8::7]:1".parse().unwrap() };
    assert!(encoded(&seen).len() <= encoded(&Frame::Ask { token: 1, proof: [0; PROOF_LEN] }).len());
    let shortest = Frame::Data { channel: 1, payload: &[0] };
    assert!(encoded(&Frame::Gone { channel: 1 }).len() < encoded(&shortest).len());
}

#[test]
fn an_ipv4_address_is_never_told_as_an_ipv6_one() {
    let mapped = Frame::Seen { token: 1, address: "[::ffff:203.0.113.7]:4433".parse().unwrap() };
    assert_eq!(encoded(&mapped)[9..], [4, 0x11, 0x51, 203, 0, 113, 7]);
    let spelt = [
        &[4, 0, 0, 0, 0, 0, 0, 0, 1, 6, 0x11, 0x51][..],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7],
    ];
    assert_eq!(Frame::parse(&spelt.concat()), None);
}

#[test]
fn what_is_spelt_otherwise_is_no_frame() {
    let mut padded = encoded(&Frame::Ask { token: 1, proof: [0; PROOF_LEN] });
    padded[31] = 1;
    let longer = [encoded(&Frame::Ask { token: 1, proof: [0; PROOF_LEN] }), vec![0]].concat();
    let misspelt: [&[u8]; 14] = [
        &[],
        &[0, 0],                                              // a long punch
        &[1],                                                 // data without a channel,
        &[1, 0, 0, 0, 0, 0, 0, 0],                            // with half of one,
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],                         // without a datagram
        &[2, 0, 0, 0, 0, 0, 0, 0],                            // a short gone,
        &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0],                      // a long one
        &[3, 0, 0, 0, 0, 0, 0, 0, 1],                         // a question shorter than its answer
        &padded,                                              //
        &longer,                                              //
        &[4, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 1, 1, 2, 3, 4],    // a family that is none,
        &[4, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 1, 1, 2, 3],       // a short address,
        &[4, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 1, 1, 2, 3, 4, 5], // a long one
        &[5, 0, 0, 0, 0, 0, 0, 0, 1],
    ];
    for bytes in misspelt {
        assert_eq!(Frame::parse(bytes), None, "{bytes:?}");
    }
}

/// The runs of a batch, cut by `run_at` as its users do.
fn runs(batch: &[u8], stride: usize) -> Vec<Run> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(run) = run_at(batch, stride, at) {
        at = run.range.end;
        found.push(run);
    }
    found
}

#[test]
fn a_batch_is_cut_where_the_treatment_changes() {
    let batch = [
        [&[1, 0, 0, 0, 0, 0, 0, 0, 7][..], b"aaa"].concat(), // 0: channel 7
        [&[1, 0, 0, 0, 0, 0, 0, 0, 7][..], b"bbb"].concat(), // 12
        [&[1, 0, 0, 0, 0, 0, 0, 0, 8][..], b"ccc"].concat(), // 24: channel 8
        vec![0x40; 12],                                      // 36: QUIC
        vec![0xff; 12],                                      // 48
        vec![2; 12],                                         // 60: a long gone is junk,
        vec![0x3f; 12],                                      // 72: and so is this
        [&[1, 0, 0, 0, 0, 0, 0, 0, 7][..], b"ddd"].concat(), // 84
        vec![0],                                             // 96: the short last one, a punch
    ]
    .concat();
    let expected = [
        (Kind::Data(7), 0..24),
        (Kind::Data(8), 24..36),
        (Kind::Quic, 36..60),
        (Kind::Junk, 60..84),
        (Kind::Data(7), 84..96),
        (Kind::Other, 96..97),
    ];
    assert_eq!(runs(&batch, 12), expected.map(|(kind, range)| Run { kind, range }));
}

#[test]
fn a_runt_at_the_end_of_a_run_is_not_data() {
    let frame = encoded(&Frame::Data { channel: 7, payload: b"aaa" });
    let header_only = [&frame[..], &frame[..HEADER]].concat();
    assert_eq!(
        runs(&header_only, 12),
        [Run { kind: Kind::Data(7), range: 0..12 }, Run { kind: Kind::Junk, range: 12..21 }]
    );
    let one_byte = [&frame[..], &frame[..HEADER + 1]].concat();
    assert_eq!(runs(&one_byte, 12), [Run { kind: Kind::Data(7), range: 0..22 }]);
}

#[test]
fn control_frames_come_one_by_one() {
    let batch = [encoded(&Frame::Gone { channel: 1 }), encoded(&Frame::Gone { channel: 2 })].concat();
    let expected = [0..9, 9..18].map(|range| Run { kind: Kind::Other, range });
    assert_eq!(runs(&batch, 9), expected);
}

#[test]
fn a_wrapped_batch_is_these_bytes() {
    let mut out = b"what was there".to_vec();
    assert_eq!(wrap(b"aabbc", 2, 0x0a, &mut out), 11);
    let header = [1, 0, 0, 0, 0, 0, 0, 0, 0x0a];
    assert_eq!(out, [&header[..], b"aa", &header, b"bb", &header, b"c"].concat());
    assert_eq!(strip(&mut out, 11), 5);
    assert_eq!(out[..5], *b"aabbc");
}

#[test]
fn a_single_datagram_is_wrapped_whatever_its_stride() {
    let mut out = Vec::new();
    assert_eq!(wrap(b"abc", usize::MAX, 1, &mut out), 3 + HEADER);
    assert_eq!(out, encoded(&Frame::Data { channel: 1, payload: b"abc" }));
}

proptest! {
    #[test]
    fn stripping_undoes_wrapping(bytes in vec(any::<u8>(), 1..4000), stride in 1..1500usize, channel: u64) {
        let mut frames = Vec::new();
        let wrapped = wrap(&bytes, stride, channel, &mut frames);
        prop_assert_eq!(runs(&frames, wrapped), [Run { kind: Kind::Data(channel), range: 0..frames.len() }]);
        let length = strip(&mut frames, wrapped);
        prop_assert_eq!(&frames[..length], &bytes[..]);
    }

    /// Nothing is skipped, nothing comes twice, each run is of one kind and not longer than the truth.
    #[test]
    fn runs_tile_any_batch(
        packets in vec((prop_oneof![Just(1u8), 0..6u8, any::<u8>()], 0..3u8), 0..20),
        stride in 0..40usize,
        short in 0..40usize,
    ) {
        let mut batch = Vec::new();
        for (first, channel) in packets {
            let mut packet = vec![0; stride];
            packet.iter_mut().zip([first, 0, 0, 0, 0, 0, 0, 0, channel]).for_each(|(to, from)| *to = from);
            batch.extend(packet);
        }
        batch.truncate(batch.len().saturating_sub(short.min(stride.saturating_sub(1))));
        let found = runs(&batch, stride);
        let mut at = 0;
        for run in &found {
            prop_assert_eq!(run.range.start, at);
            prop_assert!(run.range.end > at);
            at = run.range.end;
            for packet in batch[run.range.clone()].chunks(stride) {
                let quic = packet[0] & QUIC_BIT != 0;
                let truth = match Frame::parse(packet) {
                    _ if quic => Kind::Quic,
                    Some(Frame::Data { channel, .. }) => Kind::Data(channel),
                    Some(_) => Kind::Other,
                    None => Kind::Junk,
                };
                prop_assert_eq!(run.kind, truth);
            }
        }
        prop_assert_eq!(at, batch.len());
        let splits_alike = found.windows(2).any(|two| two[0].kind == two[1].kind && two[0].kind != Kind::Other);
        prop_assert!(!splits_alike, "{:?}", found);
    }

    #[test]
    fn whatever_parses_has_one_spelling(bytes in prop_oneof![
        vec(any::<u8>(), 0..40),
        (0..6u8, vec(any::<u8>(), 0..40)).prop_map(|(kind, rest)| [vec![kind], rest].concat()),
    ]) {
        if let Some(frame) = Frame::parse(&bytes) {
            prop_assert_eq!(encoded(&frame), bytes);
        }
    }
}
