#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

/// Made by x264 of test pictures of that size.
const H264: [(&str, u16, u16); 5] = [
    ("6764000cacd94141fb0110000003001000000301e0f1429960", 320, 240),
    ("67640028acd940780227e5c044000003000400000300783c60c658", 1920, 1080),
    ("67640016acd940a02fea6c0440000003004000000783c58b658", 638, 358),
    ("67f40015919b28595f89c044000003000400000300787c50a658", 176, 144), // 4:4:4, interlaced
    ("6742c016d900a02ff970110000030001000003001e0f162e48", 640, 360),   // baseline
];

/// Made by x265.
const H265: [(&str, u16, u16); 3] = [
    ("42010101600000030090000003000003003ca00a080f165959a4932bc05a020000030002000003001e10", 320, 240),
    ("420101016000000300900000030000030078a003c08010e596566924caf01680800000030080000007840000", 1920, 1080),
    ("42010101600000030090000003000003003fa005020169d565959a4932bc05a020000003002000000301e1", 638, 358),
];

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(&hex.as_bytes()[..hex.len() & !1]).unwrap()
}

fn size(width: u16, height: u16) -> Option<Size> {
    Some(Size { width, height })
}

/// With each unit behind its length.
fn aggregated(head: &[u8], units: &[&[u8]]) -> Vec<u8> {
    let mut packet = head.to_vec();
    for unit in units {
        packet.extend(u16::try_from(unit.len()).unwrap().to_be_bytes());
        packet.extend(*unit);
    }
    packet
}

#[test]
fn sizes_of_h264_are_read() {
    for (set, width, height) in H264 {
        assert_eq!(in_h264(&bytes(set)), size(width, height), "{set}");
    }
}

#[test]
fn sizes_of_h265_are_read() {
    for (set, width, height) in H265 {
        assert_eq!(in_h265(&bytes(set)), size(width, height), "{set}");
    }
}

#[test]
fn a_set_among_others_in_one_packet_is_found() {
    let (h264, h265) = (bytes(H264[0].0), bytes(H265[0].0));
    assert_eq!(in_h264(&aggregated(&[24], &[&[9, 0x10], &h264, &[0x68, 1]])), size(320, 240));
    assert_eq!(in_h265(&aggregated(&[96, 1], &[&[0x40, 1], &h265, &[0x44, 1]])), size(320, 240));
    assert_eq!(in_h264(&aggregated(&[24], &[&aggregated(&[24], &[&h264])])), None);
}

#[test]
fn a_set_with_lists_of_matrices_is_read_over_them() {
    // High, 4:2:0, 8 bit, with eight lists: the first of sixteen steps of zero, the second ends at once
    // (-8), the others absent; then 5 x 4 blocks, frames only, nothing cut off.
    let bits = [
        "01100100 00000000 00011110", // profile 100, no constraints, level 30
        "1 010 1 1 0 1",              // id 0, chroma 1, two depths of 8, no bypass, matrices follow
        "1 1111111111111111",         // list 0: sixteen times se(0)
        "1 000010001",                // list 1: se(-8)
        "000000",                     // lists 2 to 7
        "1 1 1 010 0",                // frame number, order by type 0 with its length, 1 reference, no gaps
        "00101 00100 1 1 0",          // 5 columns, 4 rows, frames, direct 8x8, no cropping
        "1",
    ]
    .concat()
    .replace(' ', "");
    let mut set = vec![0x67];
    for byte in bits.as_bytes().chunks(8) {
        let text = format!("{:0<8}", std::str::from_utf8(byte).unwrap());
        set.push(u8::from_str_radix(&text, 2).unwrap());
    }
    assert_eq!(in_h264(&set), size(80, 64));
}

#[test]
fn a_set_that_ends_early_or_cuts_everything_off_has_no_size() {
    for (set, ..) in H264.into_iter().chain(H265) {
        for end in 0..16 {
            let cut = &bytes(set)[..end];
            assert_eq!(in_h264(cut).or(in_h265(cut)).filter(|_| end < 8), None);
        }
    }
    assert_eq!(in_h264(&[0x67; 2000]), None);
    assert_eq!(in_h264(&[]), None);
    assert_eq!(in_h265(&[0x42]), None);
    let zeros = [&[0x67][..], &[0; 3000]].concat();
    assert_eq!(in_h264(&zeros), None);
}

proptest! {
    #[test]
    fn any_set_is_read_without_harm(head in prop::sample::select(vec![0x67_u8, 24, 0x42, 96]), tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let set = [&[head][..], &tail].concat();
        in_h264(&set);
        in_h265(&set);
    }

    #[test]
    fn any_change_of_a_good_set_is_read_without_harm(which in 0..5_usize, at in 1..22_usize, to in any::<u8>()) {
        let mut set = bytes(H264[which].0);
        set[at] = to;
        in_h264(&set);
        let mut set = bytes(H265[which % 3].0);
        set[at] = to;
        in_h265(&set);
    }
}
