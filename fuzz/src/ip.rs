//! IP packets, as another node and the kernel hand them over.

use std::net::Ipv6Addr;
use std::time::Instant;

use coco_tunnel::forward::ip::links::judge;
use coco_tunnel::forward::ip::offload::{OFFLOAD_HEADER, SEGMENT_MIN, Train, header_for, take};
use coco_tunnel::forward::ip::packet::{Packet, Upper};
use coco_tunnel::forward::ip::talks::{Began, Talks};
use coco_tunnel::forward::ip::{FRAME_HEADER, Trouble, icmp};

/// A target's name and its body.
pub type Body = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: &[Body] = &[("ip_packet", ip_packet)];

/// A frame from the node at `fd11:2233:4455::2` to the one at `fd11:2233:4455::1`. Taken means that its packet
/// goes to the interface.
pub fn ip_packet(data: &[u8]) -> bool {
    as_the_kernel_says(data);
    let [own, peer] = [1, 2].map(|last| Ipv6Addr::new(0xfd11, 0x2233, 0x4455, 0, 0, 0, 0, last));
    let Ok(train) = Train::of(data) else { return false };
    assert!(train.longest() <= train.packet.len());
    let Ok(packet) = judge(own, peer, train) else { return false };
    assert_eq!((packet.source, packet.destination), (peer, own));
    let now = Instant::now();
    let mut talks = Talks::default();
    // What nobody asked for is no reply, but for the rest of one.
    assert!(packet.upper == Upper::Fragment || !talks.expects(now, &packet));
    talks.began_there(now, &packet);
    assert!(!talks.are_awaited(now));
    // The same packet the other way is awaited, where it begins something.
    let mut talks = Talks::default();
    let begun = talks.leaves(now, &packet) == Began::Here;
    assert_eq!(talks.are_awaited(now), begun && matches!(packet.upper, Upper::Talk(_)));
    if let Some(error) = icmp::error(own, &packet, Trouble::TooBig(1400)) {
        let error = Packet::parse(&error).expect("our own");
        assert!(error.destination == peer && matches!(error.upper, Upper::Error(_)));
        assert!(error.bytes.len() <= usize::from(icmp::MTU_MIN));
    }
    let Ok(header) = header_for(train.segment, &packet) else { return false };
    if train.segment != 0 {
        let number = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
        let (length, size, start, offset) = (number(2), number(4), number(6), number(8));
        assert!(size >= usize::from(SEGMENT_MIN) && length + size < packet.bytes.len());
        assert!(start < length && start + offset + 2 <= length);
    }
    true
}

/// The same bytes as an interface gives them, whose header is the kernel's: whatever it is, each frame that
/// comes of it is one.
fn as_the_kernel_says(data: &[u8]) {
    let mut read = data.to_vec();
    // Refused as a whole, or carried: no matter here.
    let _ = take(&mut read, |frame| {
        assert!(frame.len() >= FRAME_HEADER && frame.len() <= data.len().max(OFFLOAD_HEADER));
        let train = Train::of(frame).expect("it has a header");
        assert!(train.longest() <= train.packet.len());
    });
}
