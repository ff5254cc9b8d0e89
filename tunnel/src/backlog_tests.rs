use super::*;

/// A time at which everything has been going on for long.
const NOW: u64 = 1_000_000;

/// Streams that fit into the room of a peer's.
const PEER_PLACES: usize = (PEER_ROOM / STREAM_WINDOW) as usize;

fn marks(side: Side, behind_for: u64, read_before: u64) -> Arc<Marks> {
    let (behind_since, read_at) = (AtomicU64::new(NOW - behind_for), AtomicU64::new(NOW - read_before));
    Arc::new(Marks { side, behind_since, read_at, given_up: Notify::new() })
}

fn caught_up() -> Arc<Marks> {
    let marks = marks(Side::Own, 0, 0);
    marks.behind_since.store(CAUGHT_UP, Ordering::Relaxed);
    marks
}

fn room_for(lanes: &[Arc<Marks>], own_room: u32) -> (u32, usize) {
    let plan = plan(lanes.iter(), NOW, own_room);
    ((plan.window - CONNECTION_WINDOW) / STREAM_WINDOW, plan.given_up.len())
}

#[test]
fn a_stream_that_keeps_up_gets_no_room_and_one_that_is_behind_does() {
    let fast = marks(Side::Own, 199, 0);
    assert_eq!(room_for(&[caught_up(), Arc::clone(&fast)], OWN_ROOM_MAX), (0, 0));
    assert_eq!(room_for(&[caught_up(), fast, marks(Side::Own, 200, 0)], OWN_ROOM_MAX), (1, 0));
}

#[test]
fn it_is_looked_again_until_everything_has_caught_up() {
    assert!(plan([marks(Side::Own, 1, 1)].iter(), NOW, OWN_ROOM_MAX).busy);
    assert!(!plan([caught_up()].iter(), NOW, OWN_ROOM_MAX).busy);
    assert!(!plan([].iter(), NOW, OWN_ROOM_MAX).busy);
}

#[test]
fn the_other_node_gets_no_more_than_its_room() {
    let many: Vec<_> = (0..PEER_PLACES + 10).map(|_| marks(Side::Peer, 1000, 0)).collect();
    // All of them are read, if slowly: none goes.
    assert_eq!(room_for(&many, OWN_ROOM_MAX), (PEER_ROOM / STREAM_WINDOW, 0));
    // What was opened from here has its own.
    let both: Vec<_> = many.into_iter().chain([marks(Side::Own, 1000, 0)]).collect();
    assert_eq!(room_for(&both, OWN_ROOM_MAX), (PEER_ROOM / STREAM_WINDOW + 1, 0));
}

#[test]
fn beyond_the_room_those_go_that_nobody_has_read_for_the_longest() {
    let room = 4 * STREAM_WINDOW;
    let mut lanes: Vec<_> = (0..4).map(|number| marks(Side::Own, 60_000, 10_000 + number)).collect();
    assert_eq!(room_for(&lanes, room), (4, 0));
    let oldest = marks(Side::Own, 60_000, 20_000);
    lanes.insert(2, Arc::clone(&oldest));
    let plan = plan(lanes.iter(), NOW, room);
    assert_eq!(plan.given_up.len(), 1);
    assert!(Arc::ptr_eq(&plan.given_up[0], &oldest));
}

#[test]
fn what_was_read_a_moment_ago_does_not_go() {
    let lanes: Vec<_> = (0..9).map(|_| marks(Side::Own, 60_000, 2_999)).collect();
    assert_eq!(room_for(&lanes, 4 * STREAM_WINDOW), (4, 0));
    let lanes: Vec<_> = (0..9).map(|_| marks(Side::Own, 60_000, 3_000)).collect();
    assert_eq!(room_for(&lanes, 4 * STREAM_WINDOW), (4, 5));
}

#[test]
fn the_room_for_own_streams_is_a_share_of_the_memory_within_bounds() {
    const GIB: u64 = 1 << 30;
    assert_eq!(own_room(0), PEER_ROOM);
    assert_eq!(own_room(GIB), 1 << 27);
    assert_eq!(own_room(64 * GIB), OWN_ROOM_MAX);
    assert_eq!(own_room(u64::MAX), OWN_ROOM_MAX);
}
