use proptest::prelude::*;

use super::*;
use crate::forward::rtsp::media::{Size, Track};

const CLOCK: u32 = 90_000;

fn packet(number: u16, stamp: u32, marker: bool) -> Vec<u8> {
    from(7, number, stamp, marker)
}

fn from(source: u32, number: u16, stamp: u32, marker: bool) -> Vec<u8> {
    let mut packet = vec![0x80, 96 | u8::from(marker) << 7];
    packet.extend(number.to_be_bytes());
    packet.extend(stamp.to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend(b"picture");
    packet
}

fn after(numbers: impl IntoIterator<Item = u16>) -> (u64, u64) {
    let mut reception = Reception::new(None);
    for number in numbers {
        reception.packet(&packet(number, 0, false), Duration::ZERO);
    }
    (reception.received(), reception.lost())
}

#[test]
fn what_is_missing_between_the_numbers_is_lost() {
    assert_eq!(after([]), (0, 0));
    assert_eq!(after(10..20), (10, 0));
    assert_eq!(after([10, 11, 14, 15]), (4, 2));
    assert_eq!(after([65_534, 65_535, 1, 2]), (4, 1));
}

#[test]
fn what_comes_late_or_twice_is_not_lost() {
    assert_eq!(after([10, 12, 11, 13]), (4, 0));
    assert_eq!(after([10, 11, 11, 12]), (4, 0));
    assert_eq!(after([10, 13, 13]), (3, 2));
    assert_eq!(after([10, 9]), (2, 0));
    assert_eq!(after([0, 65_535, 1]), (3, 0));
}

#[test]
fn another_source_and_a_long_jump_begin_anew_and_keep_what_was_lost() {
    assert_eq!(after([10, 12, 10_000, 10_001]), (4, 1));
    let mut reception = Reception::new(None);
    for (source, number) in [(1, 10), (1, 12), (2, 100), (2, 101), (2, 103)] {
        reception.packet(&from(source, number, 0, false), Duration::ZERO);
    }
    assert_eq!(reception.lost(), 2);
}

#[test]
fn what_is_no_rtp_is_passed_over() {
    let mut reception = Reception::new(None);
    for other in [&b""[..], b"\x80", &[0; 12], &[0x80, 200, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[0x40; 40]] {
        reception.packet(other, Duration::ZERO);
    }
    assert_eq!((reception.received(), reception.pictures()), (0, 0));
}

/// Pictures of three packets each, with those timestamps, one every `every`.
fn shown(clock: Option<u32>, stamps: &[u32], every: Duration) -> (Reception, Duration) {
    let (mut reception, mut now, mut number) = (Reception::new(clock), Duration::from_secs(5), 0);
    for stamp in stamps {
        now += every;
        for part in 0..3 {
            reception.packet(&packet(number, *stamp, part == 2), now);
            number += 1;
        }
    }
    (reception, now)
}

fn about(rate: Option<f32>, expected: f32) -> bool {
    rate.is_some_and(|rate| (rate - expected).abs() < 0.5)
}

#[test]
fn the_rate_follows_the_timestamps_however_the_packets_come() {
    // They pass their end on the way.
    let stamps: Vec<u32> = (0..100).map(|at: u32| (at * 6000).wrapping_sub(80 * 6000)).collect();
    let (reception, now) = shown(Some(CLOCK), &stamps, Duration::from_millis(1));
    assert!(about(reception.rate(now), 15.0), "{:?}", reception.rate(now));
    assert_eq!(reception.pictures(), 100);
}

#[test]
fn pictures_sent_out_of_their_order_do_not_change_the_rate() {
    let stamps: Vec<u32> = (0..60).map(|at: u32| (at / 3 * 3 + [2, 0, 1][at as usize % 3]) * 3600).collect();
    let (reception, now) = shown(Some(CLOCK), &stamps, Duration::from_millis(1));
    assert!(
        reception.rate(now).is_some_and(|rate| (23.0..27.0).contains(&rate)),
        "{:?}",
        reception.rate(now)
    );
}

#[test]
fn without_a_clock_or_with_a_standing_one_the_arrival_tells_the_rate() {
    let stamps: Vec<u32> = (0..50).map(|at: u32| at * 17).collect();
    let (reception, now) = shown(None, &stamps, Duration::from_millis(40));
    assert!(about(reception.rate(now), 25.0), "{:?}", reception.rate(now));
    let (reception, now) = shown(Some(CLOCK), &[4; 50], Duration::from_millis(40));
    assert!(about(reception.rate(now), 25.0), "{:?}", reception.rate(now));
}

#[test]
fn there_is_no_rate_before_the_second_picture_nor_after_the_last() {
    let (reception, now) = shown(Some(CLOCK), &[1], Duration::from_millis(40));
    assert_eq!(reception.rate(now), None);
    let (reception, now) = shown(Some(CLOCK), &[1, 3601, 7201], Duration::from_millis(40));
    assert!(about(reception.rate(now), 25.0));
    assert_eq!(reception.rate(now + CURRENT + Duration::from_millis(1)), None);
}

#[test]
fn timestamps_that_jump_begin_the_measurement_anew() {
    let stamps: Vec<u32> =
        (0..40).map(|at| if at < 20 { at * 3600 } else { (1 << 30) + at * 6000 }).collect();
    let (reception, now) = shown(Some(CLOCK), &stamps, Duration::from_millis(1));
    assert!(about(reception.rate(now), 15.0), "{:?}", reception.rate(now));
}

#[test]
fn the_payload_stands_behind_sources_extension_and_before_the_padding() {
    let mut full = packet(1, 2, false);
    assert_eq!(payload(&full), Some(&b"picture"[..]));
    full[0] = 0x80 | 0x20 | 0x10 | 1;
    full.splice(12..12, [1, 2, 3, 4, 0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
    full.extend([0, 0, 3]);
    assert_eq!(payload(&full), Some(&b"picture"[..]));
    full[15 + 3 + 1] = 200;
    assert_eq!(payload(&full), None);
}

#[test]
fn the_size_comes_with_the_pictures_where_the_description_has_none() {
    let mut jpeg = packet(1, 2, false);
    jpeg.splice(12.., [0, 0, 0, 0, 1, 255, 80, 60, 0xff]);
    let mut track = Track { codec: Some("jpeg".to_owned()), ..Track::default() };
    track.look(&packet(0, 0, false)[..10]);
    assert_eq!(track.size, None);
    track.look(&jpeg);
    assert_eq!(track.size, Some(Size { width: 640, height: 480 }));
}

proptest! {
    #[test]
    fn any_packets_are_counted_without_harm(packets in prop::collection::vec((any::<[u8; 3]>(), prop::collection::vec(any::<u8>(), 0..40), any::<u32>()), 0..200), clock in prop::option::of(any::<u32>())) {
        let mut reception = Reception::new(clock);
        let mut track = Track { codec: Some("H264".to_owned()), ..Track::default() };
        for (head, tail, now) in packets {
            let packet = [&[head[0] | 0x80][..], &head, &tail].concat();
            reception.packet(&packet, Duration::from_millis(u64::from(now)));
            track.look(&packet);
            let rate = reception.rate(Duration::from_millis(u64::from(now)));
            prop_assert!(rate.is_none_or(|rate| rate.is_finite() && rate > 0.0));
            prop_assert!(reception.pictures.len() <= WINDOW);
        }
    }
}
