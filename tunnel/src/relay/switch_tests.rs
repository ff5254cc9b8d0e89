#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{HashMap, HashSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{End, MAX_PER_NODE, Meter, SwitchError};
use super::*;

const ALICE: &str = "192.0.2.1:1001";
const BOB: &str = "[2001:db8::2]:1002";
const EVE: &str = "198.51.100.66:666";

/// A switch, and what it sent.
struct Lab {
    switch: Switch,
    control: SwitchControl,
    strangers: mpsc::Receiver<Stranger>,
    now: Instant,
    sent: Vec<(SocketAddr, Vec<u8>, usize)>,
    refuse: Option<io::ErrorKind>,
}

impl Lab {
    fn new() -> Self {
        let now = Instant::now();
        let (switch, control, strangers) = switch(now);
        let switch = switch.answering(KEY);
        Self { switch, control, strangers, now, sent: Vec::new(), refuse: None }
    }

    /// A batch arrives; what of it is QUIC.
    fn batch(&mut self, from: &str, mut batch: Vec<u8>, stride: usize) -> Vec<u8> {
        let kept = self.switch.forward(self.now, at(from), &mut batch, stride, |to, packets, stride| {
            if let Some(kind) = self.refuse {
                return Err(kind.into());
            }
            self.sent.push((to, packets.to_vec(), stride));
            Ok(())
        });
        batch.truncate(kept);
        batch
    }

    /// One data frame arrives; where it, or an answer, has gone.
    fn frame(&mut self, from: &str, channel: u64, payload: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let frame = data(channel, payload);
        let stride = frame.len();
        assert_eq!(self.batch(from, frame, stride), []);
        self.sent().into_iter().map(|(to, packet, _)| (to, packet)).collect()
    }

    fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>, usize)> {
        std::mem::take(&mut self.sent)
    }

    /// A packet of nobody's, which lets the switch do what it was told.
    fn tick(&mut self) {
        self.batch(EVE, vec![0x40], 1);
    }

    fn count(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        counter(self.control.counters()).load(Ordering::Relaxed)
    }
}

/// The relay's public key.
const KEY: StaticKey = StaticKey([9; 32]);

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn end(address: &str) -> End {
    End { address: at(address), meter: Arc::default() }
}

fn data(channel: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::Data { channel, payload }.encode(&mut bytes);
    bytes
}

fn gone(channel: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::Gone { channel }.encode(&mut bytes);
    bytes
}

fn ask(token: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::Ask { token, proof: frame::proof(&KEY, token) }.encode(&mut bytes);
    bytes
}

fn meters(end: &End) -> (u64, u64) {
    (end.meter.sent.load(Ordering::Relaxed), end.meter.received.load(Ordering::Relaxed))
}

fn used(budget: &Budget) -> u64 {
    budget.used.load(Ordering::Relaxed)
}

#[test]
fn a_channel_that_is_opened_again_under_its_ids_takes_the_place_of_the_first_and_of_no_other() {
    let mut lab = Lab::new();
    let ids = lab.control.open(&end(ALICE), &end(BOB), &Arc::default()).unwrap();
    lab.control.open_as(ids, &end(EVE), &end(BOB), &Arc::default()).unwrap();
    assert_eq!(lab.frame(EVE, ids.0, b"x"), [(at(BOB), data(ids.1, b"x"))]);
    assert_eq!(lab.control.channels(), 1);
    lab.control.open_as((ids.0, 7), &end(ALICE), &end(BOB), &Arc::default()).unwrap();
    assert_eq!(lab.frame(EVE, ids.0, b"x"), [(at(BOB), data(ids.1, b"x"))]);
    assert_eq!(lab.control.channels(), 1);
}

#[test]
fn a_batch_goes_to_the_other_end_in_one_send_under_its_id() {
    let mut lab = Lab::new();
    let (a, b, budget) = (end(ALICE), end(BOB), Arc::default());
    let (for_a, for_b) = lab.control.open(&a, &b, &budget).unwrap();
    assert_ne!(for_a, for_b);

    let batch = [data(for_a, b"one"), data(for_a, b"two"), data(for_a, b"3")].concat();
    assert_eq!(lab.batch(ALICE, batch, 12), []);
    let expected = [data(for_b, b"one"), data(for_b, b"two"), data(for_b, b"3")].concat();
    assert_eq!(lab.sent(), [(at(BOB), expected, 12)]);
    assert_eq!(lab.frame(BOB, for_b, b"back"), [(at(ALICE), data(for_a, b"back"))]);

    assert_eq!((meters(&a), meters(&b), used(&budget)), ((7, 4), (4, 7), 11));
    assert_eq!((lab.count(|c| &c.packets), lab.count(|c| &c.bytes)), (4, 11));
}

#[test]
fn a_switch_can_live_in_a_socket_of_quic() {
    fn is_send_and_sync(_: &(impl Send + Sync + std::fmt::Debug + 'static)) {}
    let lab = Lab::new();
    is_send_and_sync(&lab.switch);
    is_send_and_sync(&lab.control);
}

#[test]
fn quic_stays_in_its_order_and_everything_else_leaves() {
    let mut lab = Lab::new();
    let (for_a, for_b) = lab.control.open(&end(ALICE), &end(BOB), &Arc::default()).unwrap();
    let (second, far) = lab.control.open(&end(ALICE), &end(EVE), &Arc::default()).unwrap();
    let batch = [
        data(for_a, b"111"),
        b"AAAAAAAAAAAA".to_vec(),
        data(second, b"222"),
        vec![9; 12],
        b"BBBBBBBBBBBB".to_vec(),
        b"CCCCCCCCCCCC".to_vec(),
        data(for_a, b"333"),
        b"DD".to_vec(),
    ]
    .concat();
    assert_eq!(lab.batch(ALICE, batch, 12), b"AAAAAAAAAAAABBBBBBBBBBBBCCCCCCCCCCCCDD");
    let expected = [
        (at(BOB), data(for_b, b"111"), 12),
        (at(EVE), data(far, b"222"), 12),
        (at(BOB), data(for_b, b"333"), 12),
    ];
    assert_eq!(lab.sent(), expected);
    assert_eq!(lab.count(|c| &c.junk), 1);
}

#[test]
fn ipv4_in_ipv6_is_the_same_address() {
    let mut lab = Lab::new();
    let (for_a, for_b) =
        lab.control.open(&end("[::ffff:192.0.2.1]:1001"), &end(BOB), &Arc::default()).unwrap();
    assert_eq!(lab.frame("[::ffff:192.0.2.1]:1001", for_a, b"x"), [(at(BOB), data(for_b, b"x"))]);
    assert_eq!(lab.frame(ALICE, for_a, b"x"), [(at(BOB), data(for_b, b"x"))]);
}

#[test]
fn who_knows_an_id_but_has_not_the_address_sends_nothing() {
    let mut lab = Lab::new();
    let (a, b, budget) = (end(ALICE), end(BOB), Arc::default());
    let (for_a, for_b) = lab.control.open(&a, &b, &budget).unwrap();
    // Another port of the same address, the other end's address, and a foreign one.
    for from in ["192.0.2.1:1002", BOB, EVE] {
        lab.now += STRANGER_EVERY;
        assert_eq!(lab.frame(from, for_a, b"x"), [(at(from), gone(for_a))]);
        assert_eq!(lab.strangers.try_recv(), Ok(Stranger { channel: for_a, from: at(from) }));
    }
    assert_eq!((meters(&a), meters(&b), used(&budget)), ((0, 0), (0, 0), 0));
    assert_eq!(lab.count(|c| &c.unbound), 3);
    // The channel is as it was.
    assert_eq!(lab.frame(BOB, for_b, b"x"), [(at(ALICE), data(for_a, b"x"))]);
}

#[test]
fn a_stranger_is_reported_and_answered_once_a_second() {
    let mut lab = Lab::new();
    let (for_a, _) = lab.control.open(&end(ALICE), &end(BOB), &Arc::default()).unwrap();
    assert_eq!(lab.frame(EVE, for_a, b"x").len(), 1);
    for _ in 0..100 {
        assert_eq!(lab.frame(EVE, for_a, b"x"), []);
    }
    lab.now += STRANGER_EVERY;
    assert_eq!(lab.frame(EVE, for_a, b"x").len(), 1);
    let reports = std::iter::from_fn(|| lab.strangers.try_recv().ok()).count();
    assert_eq!((reports, lab.count(|c| &c.unbound)), (2, 102));
}

#[test]
fn after_a_rebind_the_new_address_counts_in_both_directions() {
    let mut lab = Lab::new();
    let (for_a, for_b) = lab.control.open(&end(ALICE), &end(BOB), &Arc::default()).unwrap();
    lab.control.rebind(for_a, at("203.0.113.9:9")).unwrap();
    assert_eq!(lab.frame("203.0.113.9:9", for_a, b"x"), [(at(BOB), data(for_b, b"x"))]);
    assert_eq!(lab.frame(BOB, for_b, b"x"), [(at("203.0.113.9:9"), data(for_a, b"x"))]);
    assert_eq!(lab.frame(ALICE, for_a, b"x"), [(at(ALICE), gone(for_a))]);
    // Of a channel that is not there, it is nothing.
    lab.control.rebind(!for_a, at(EVE)).unwrap();
    assert_eq!(lab.frame(EVE, !for_a, b"x"), []);
}

#[test]
fn a_closed_channel_is_gone_at_both_ends() {
    for by_a in [true, false] {
        let mut lab = Lab::new();
        let (for_a, for_b) = lab.control.open(&end(ALICE), &end(BOB), &Arc::default()).unwrap();
        lab.tick();
        assert_eq!(lab.control.channels(), 1);
        lab.control.close(if by_a { for_a } else { for_b }).unwrap();
        assert_eq!(lab.frame(ALICE, for_a, b"x"), []);
        assert_eq!(lab.frame(BOB, for_b, b"x"), []);
        assert_eq!(lab.count(|c| &c.unknown), 2);
        assert_eq!(lab.control.channels(), 0);
        lab.control.close(for_a).unwrap();
        lab.tick();
        assert_eq!(lab.control.expired(), []);
    }
}

#[test]
fn answers_are_bounded_in_each_second() {
    let mut lab = Lab::new();
    for token in 0..u64::from(ANSWERS_PER_SECOND) + 50 {
        lab.batch(EVE, ask(token), 32);
    }
    assert_eq!(lab.count(|c| &c.answers), u64::from(ANSWERS_PER_SECOND));
    assert_eq!(lab.count(|c| &c.unanswered), 50);
    lab.sent();
    lab.now += Duration::from_secs(1);
    lab.batch(EVE, ask(5), 32);
    assert_eq!(lab.sent().len(), 1);
}

#[test]
fn who_knows_neither_the_key_nor_an_id_hears_nothing() {
    let mut lab = Lab::new();
    lab.batch(EVE, [data(5, b"xxx"), data(5, b"xxx"), data(5, b"xxx")].concat(), 12);
    assert_eq!(lab.count(|c| &c.unknown), 3);
    let mut guess = ask(1);
    guess[9] ^= 1;
    lab.batch(EVE, guess, 32);
    assert_eq!(lab.count(|c| &c.junk), 1);
    assert_eq!(lab.sent(), []);
    // Nobody can do anything about it.
    assert!(lab.strangers.try_recv().is_err());
}

#[test]
fn who_asks_hears_where_he_is_seen() {
    let mut lab = Lab::new();
    lab.batch("[::ffff:203.0.113.7]:4433", ask(0xbeef), 32);
    let seen = vec![4, 0, 0, 0, 0, 0, 0, 0xbe, 0xef, 4, 0x11, 0x51, 203, 0, 113, 7];
    assert_eq!(lab.sent(), [(at("203.0.113.7:4433"), seen, 16)]);
}

#[test]
fn punches_and_frames_meant_for_nodes_are_not_answered() {
    let mut lab = Lab::new();
    lab.batch(EVE, vec![0; 64], 1);
    lab.batch(EVE, gone(1), 9);
    lab.batch(EVE, vec![4, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 1, 1, 2, 3, 4], 16);
    lab.batch(EVE, vec![], 0);
    lab.batch(EVE, vec![1; 5], 0);
    assert_eq!(lab.sent(), []);
    // The last batch is five packets of a byte, its stride being nonsense.
    assert_eq!(lab.count(|c| &c.junk), 7);
}

#[test]
fn a_spent_budget_stops_every_channel_of_its_network_within_a_batch() {
    let mut lab = Lab::new();
    let budget = Arc::new(Budget::new(0, 100_000_000));
    let (a, b, c) = (end(ALICE), end(BOB), end(EVE));
    let (for_a, _) = lab.control.open(&a, &b, &budget).unwrap();
    let (second, _) = lab.control.open(&a, &c, &budget).unwrap();
    let (free, _) = lab.control.open(&a, &c, &Arc::default()).unwrap();
    let batch: Vec<u8> = data(for_a, &[0x40; 1200]).repeat(53);
    for _ in 0..2000 {
        lab.batch(ALICE, batch.clone(), 1209);
        lab.sent.clear();
    }
    let carried = used(&budget);
    assert!((100_000_000..101_000_000).contains(&carried), "{carried}");
    assert_eq!(meters(&a).0, carried);
    assert_eq!(lab.count(|c| &c.packets) + lab.count(|c| &c.spent), 2000 * 53);

    assert_eq!((lab.frame(ALICE, for_a, b"x"), lab.frame(ALICE, second, b"x")), (vec![], vec![]));
    assert_eq!(lab.frame(ALICE, free, b"x").len(), 1);
    // A new month, or a larger plan.
    budget.limit.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(lab.frame(ALICE, second, b"x").len(), 1);
}

#[test]
fn what_the_socket_refuses_is_counted_and_not_charged() {
    let mut lab = Lab::new();
    let (a, b, budget) = (end(ALICE), end(BOB), Arc::default());
    let (for_a, _) = lab.control.open(&a, &b, &budget).unwrap();
    lab.refuse = Some(io::ErrorKind::WouldBlock);
    lab.frame(ALICE, for_a, b"x");
    lab.refuse = Some(io::ErrorKind::PermissionDenied);
    lab.frame(ALICE, for_a, b"x");
    lab.frame(ALICE, !for_a, b"x");
    assert_eq!((lab.count(|c| &c.blocked), lab.count(|c| &c.failed)), (1, 1));
    assert_eq!((meters(&a), meters(&b), used(&budget)), ((0, 0), (0, 0), 0));
    assert_eq!((lab.count(|c| &c.packets), lab.count(|c| &c.answers)), (0, 0));
}

#[test]
fn an_idle_channel_ends_and_one_with_traffic_either_way_stays() {
    let mut lab = Lab::new();
    let budget = Arc::default();
    let (idle_a, idle_b) = lab.control.open(&end(ALICE), &end(BOB), &budget).unwrap();
    let (for_a, for_b) = lab.control.open(&end(ALICE), &end(BOB), &budget).unwrap();
    lab.tick();
    for _ in 0..3 {
        lab.now += IDLE / 2;
        assert_eq!(lab.frame(BOB, for_b, b"x"), [(at(ALICE), data(for_a, b"x"))]);
    }
    assert_eq!(lab.control.channels(), 1);
    let ended = lab.control.expired();
    assert!(ended == [(idle_a, idle_b)] || ended == [(idle_b, idle_a)], "{ended:?}");
    assert_eq!(lab.control.expired(), []);
    assert_eq!(lab.frame(ALICE, idle_a, b"x"), []);
    assert_eq!(lab.frame(ALICE, for_a, b"x"), [(at(BOB), data(for_b, b"x"))]);
}

#[test]
fn one_node_does_not_take_all_channels() {
    let mut lab = Lab::new();
    let (a, budget) = (end(ALICE), Arc::default());
    let mut last = 0;
    for _ in 0..MAX_PER_NODE {
        (last, _) = lab.control.open(&a, &end(BOB), &budget).unwrap();
    }
    assert_eq!(lab.control.open(&a, &end(BOB), &budget), Err(SwitchError::NodeFull));
    assert_eq!(lab.control.open(&end(BOB), &a, &budget), Err(SwitchError::NodeFull));
    lab.control.open(&end(EVE), &end(BOB), &budget).unwrap();
    lab.control.close(last).unwrap();
    lab.tick();
    lab.control.open(&a, &end(BOB), &budget).unwrap();
    lab.tick();
    assert_eq!(lab.control.channels(), MAX_PER_NODE + 1);
}

#[test]
fn channels_are_bounded_in_all() {
    let mut lab = Lab::new();
    let budget = Arc::default();
    for opened in 0..MAX_CHANNELS {
        lab.control.open(&end(ALICE), &end(BOB), &budget).unwrap();
        if opened % 1000 == 0 {
            lab.tick();
        }
    }
    assert_eq!(lab.control.open(&end(ALICE), &end(BOB), &budget), Err(SwitchError::Full));
    lab.tick();
    assert_eq!(lab.switch.ports.len(), 2 * MAX_CHANNELS);
    lab.now += IDLE;
    lab.tick();
    assert_eq!((lab.control.channels(), lab.switch.ports.len()), (0, 0));
    assert_eq!(lab.control.expired().len(), MAX_CHANNELS);
}

#[test]
fn a_switch_that_lags_refuses_and_keeps_no_seat() {
    let mut lab = Lab::new();
    let (a, budget) = (end(ALICE), Arc::default());
    for _ in 0..COMMANDS {
        lab.control.close(1).unwrap();
    }
    assert_eq!(lab.control.open(&a, &end(BOB), &budget), Err(SwitchError::Busy));
    assert_eq!((lab.control.channels(), Arc::strong_count(&a.meter)), (0, 1));
    lab.tick();
    lab.control.open(&a, &end(BOB), &budget).unwrap();
    drop(lab.switch);
    assert_eq!(lab.control.open(&a, &end(BOB), &budget), Err(SwitchError::Ended));
    assert_eq!((lab.control.channels(), Arc::strong_count(&a.meter)), (0, 1));
}

#[test]
fn an_address_nobody_has_is_refused() {
    let lab = Lab::new();
    let budget = Arc::default();
    let nobodys =
        ["0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1", "224.0.0.1:1", "[ff02::1]:1", "255.255.255.255:1"];
    for nobody in nobodys.into_iter().chain(["192.0.2.1:0"]) {
        assert_eq!(lab.control.open(&end(nobody), &end(BOB), &budget), Err(SwitchError::NotAnAddress));
        assert_eq!(lab.control.open(&end(BOB), &end(nobody), &budget), Err(SwitchError::NotAnAddress));
        assert_eq!(lab.control.rebind(1, at(nobody)), Err(SwitchError::NotAnAddress));
    }
    assert_eq!(lab.control.channels(), 0);
}

/// What may happen to a switch.
#[derive(Debug, Clone)]
enum Event {
    Open {
        a: u8,
        b: u8,
    },
    Close {
        id: usize,
    },
    Rebind {
        id: usize,
        to: u8,
    },
    /// A batch, each packet made of the nth known id or of wild bytes.
    Batch {
        from: u8,
        stride: usize,
        packets: Vec<Packet>,
        short: usize,
    },
    Wait {
        seconds: u64,
    },
}

#[derive(Debug, Clone)]
enum Packet {
    Known { id: usize },
    Wild(Vec<u8>),
}

fn node(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 1000))
}

fn packet() -> impl Strategy<Value = Packet> {
    let framed = (0..6u8, vec(any::<u8>(), 40)).prop_map(|(kind, rest)| [vec![kind], rest].concat());
    prop_oneof![
        4 => (0..8usize).prop_map(|id| Packet::Known { id }),
        1 => prop_oneof![vec(any::<u8>(), 41), framed].prop_map(Packet::Wild),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (1..6u8, 1..6u8).prop_map(|(a, b)| Event::Open { a, b }),
        1 => (0..8usize).prop_map(|id| Event::Close { id }),
        1 => (0..8usize, 1..6u8).prop_map(|(id, to)| Event::Rebind { id, to }),
        8 => (1..8u8, 1..41usize, vec(packet(), 0..12), 0..41usize)
            .prop_map(|(from, stride, packets, short)| Event::Batch { from, stride, packets, short }),
        1 => (0..700u64).prop_map(|seconds| Event::Wait { seconds }),
    ]
}

proptest! {
    /// Beside a model that knows which id is whose: whatever comes in, data goes only to where the model says it may,
    /// under the id that is known there, and byte for byte; answers go only to the sender; nothing grows;
    /// QUIC stays; the meters agree.
    #[test]
    fn whatever_comes_in_goes_only_to_bound_addresses_and_never_grows(events in vec(event(), 1..60)) {
        let mut lab = Lab::new();
        let budget: Arc<Budget> = Arc::default();
        // Of each id: its own address, the other end's id.
        let mut model: HashMap<u64, (SocketAddr, u64)> = HashMap::new();
        let mut ids: Vec<u64> = Vec::new();
        let mut carried = 0;
        for event in events {
            match event {
                Event::Open { a, b } => {
                    let ends = [a, b].map(|n| End { address: node(n), meter: Arc::<Meter>::default() });
                    let (for_a, for_b) = lab.control.open(&ends[0], &ends[1], &budget).unwrap();
                    model.insert(for_a, (node(a), for_b));
                    model.insert(for_b, (node(b), for_a));
                    ids.extend([for_a, for_b]);
                }
                Event::Close { id } => {
                    let Some(id) = ids.get(id) else { continue };
                    lab.control.close(*id).unwrap();
                    if let Some((_, peer)) = model.remove(id) {
                        model.remove(&peer);
                    }
                }
                Event::Rebind { id, to } => {
                    let Some(id) = ids.get(id) else { continue };
                    lab.control.rebind(*id, node(to)).unwrap();
                    if let Some(entry) = model.get_mut(id) {
                        entry.0 = node(to);
                    }
                }
                Event::Wait { seconds } => lab.now += Duration::from_secs(seconds),
                Event::Batch { from, stride, packets, short } => {
                    let mut batch = Vec::new();
                    for packet in packets {
                        let bytes = match packet {
                            Packet::Known { id } => {
                                data(ids.get(id).copied().unwrap_or(7), &[0x40 | batch.len() as u8; 32])
                            }
                            Packet::Wild(bytes) => bytes,
                        };
                        batch.extend_from_slice(&bytes[..stride]);
                    }
                    batch.truncate(batch.len().saturating_sub(short.min(stride - 1)));
                    let quic: Vec<u8> =
                        batch.chunks(stride).filter(|packet| packet[0] & 0x40 != 0).flatten().copied().collect();
                    // The channels that ended by themselves are to be known before the batch is judged.
                    lab.tick();
                    for (a, b) in lab.control.expired() {
                        prop_assert_eq!(model.remove(&a).map(|entry| entry.1), Some(b));
                        prop_assert!(model.remove(&b).is_some());
                    }
                    let may: HashSet<(SocketAddr, Vec<u8>)> = batch
                        .chunks(stride)
                        .filter_map(|packet| match Frame::parse(packet)? {
                            Frame::Data { channel, payload } => {
                                let (bound, peer) = model.get(&channel)?;
                                (*bound == node(from)).then(|| (model[peer].0, data(*peer, payload)))
                            }
                            _ => None,
                        })
                        .collect();
                    let length = batch.len();
                    let kept = lab.batch(&node(from).to_string(), batch, stride);
                    prop_assert_eq!(kept, quic);
                    let sent = lab.sent();
                    prop_assert!(sent.iter().map(|(_, packets, _)| packets.len()).sum::<usize>() <= length);
                    let mut left = HashSet::new();
                    for (to, packets, stride) in sent {
                        for packet in packets.chunks(stride) {
                            match Frame::parse(packet) {
                                Some(Frame::Data { payload, .. }) => {
                                    carried += payload.len() as u64;
                                    left.insert((to, packet.to_vec()));
                                }
                                Some(Frame::Gone { .. } | Frame::Seen { .. }) => prop_assert_eq!(to, node(from)),
                                other => prop_assert!(false, "sent {:?}", other),
                            }
                        }
                    }
                    prop_assert_eq!(left, may);
                    prop_assert_eq!((lab.switch.ports.len(), lab.control.channels()), (model.len(), model.len() / 2));
                }
            }
        }
        prop_assert_eq!((used(&budget), lab.count(|c| &c.bytes)), (carried, carried));
    }
}
