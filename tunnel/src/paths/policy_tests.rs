#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

const LAN: &str = "192.168.1.20:4433";
const WAN: &str = "198.51.100.7:4433";

/// A session's ways, its counters and the judge, in time that passes only here.
struct Court {
    policy: Policy,
    now: Instant,
    ways: Vec<Way>,
    acks: u64,
    carried: u64,
    pings: Vec<PathId>,
}

impl Court {
    fn new(mode: PathMode, dialled: bool) -> Self {
        Self::of(Manners { mode, dialled, reserve: true, persistent: false })
    }

    fn of(manners: Manners) -> Self {
        let now = Instant::now();
        Self {
            policy: Policy::new(manners, now),
            now,
            ways: Vec::new(),
            acks: 0,
            carried: 0,
            pings: Vec::new(),
        }
    }

    /// A way is there and works.
    fn way(&mut self, id: u32, place: Place, rtt_ms: u64) -> &mut Way {
        let rtt = Duration::from_millis(rtt_ms);
        let (id, validated) = (PathId::from(id), true);
        self.ways.push(Way { id, place, validated, rtt, sent: 0, lost: 0, reserve: false });
        self.ways.last_mut().unwrap()
    }

    fn of_id(&mut self, id: u32) -> &mut Way {
        self.ways.iter_mut().find(|way| way.id == PathId::from(id)).unwrap()
    }

    /// What was sent by a way is acknowledged.
    fn answer(&mut self, id: u32) {
        let way = self.of_id(id);
        way.rtt = another(way.rtt);
    }

    /// Look after so long.
    fn after(&mut self, wait_ms: u64) -> Vec<Step> {
        self.now += Duration::from_millis(wait_ms);
        let mut steps = self.policy.look(self.now, &self.ways, self.acks, self.carried);
        for step in &steps {
            match step {
                Step::Close(id) => self.ways.retain(|way| way.id != *id),
                Step::Ping(id) => self.pings.push(*id),
                _ => {}
            }
        }
        steps.retain(|step| !matches!(step, Step::Ping(_)));
        steps
    }

    /// Data flows by the way in use, for so long, looked at every 100 ms.
    fn flow(&mut self, for_ms: u64, acked: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..for_ms / 100 {
            self.carried += 10;
            if let Some(id) = self.policy.chosen()
                && let Some(way) = self.ways.iter_mut().find(|way| way.id == id)
            {
                way.sent += 12_000;
                way.rtt = if acked { another(way.rtt) } else { way.rtt };
            }
            self.acks += u64::from(acked);
            steps.extend(self.after(100));
        }
        steps
    }
}

/// The round trip after one more measurement.
fn another(rtt: Duration) -> Duration {
    match rtt.subsec_nanos() % 2 {
        0 => rtt + Duration::from_nanos(1),
        _ => rtt - Duration::from_nanos(1),
    }
}

fn direct(text: &str) -> Place {
    Place::Direct(text.parse().unwrap())
}

fn relay() -> Place {
    Place::Relay { slot: 1, channel: 7 }
}

fn uses(id: u32, why: Why) -> Step {
    Step::Use(PathId::from(id), why)
}

fn close(id: u32) -> Step {
    Step::Close(PathId::from(id))
}

#[test]
fn the_first_way_is_used_and_a_relay_and_a_direct_way_are_looked_for() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, relay(), 40);
    assert_eq!(court.after(0), [uses(0, Why::First), Step::Round]);
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(LAN), 1);
    assert_eq!(court.after(0), [uses(0, Why::First), Step::AskRelay], "the relay is kept in reserve");
}

#[test]
fn a_direct_way_is_taken_at_once_however_slow() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, relay(), 5);
    court.after(0);
    court.way(1, direct(WAN), 300).validated = false;
    assert!(!court.after(10).contains(&uses(1, Why::Direct)), "not before it is known to work");
    court.of_id(1).validated = true;
    assert_eq!(court.after(10), [uses(1, Why::Direct)]);
    assert_eq!(court.after(10), []);
}

#[test]
fn among_direct_ways_only_a_clearly_faster_one_is_worth_a_change() {
    for (rtt_ms, changes) in [(19, false), (16, false), (12, true), (1, true)] {
        let mut court = Court::new(PathMode::DirectFirst, true);
        court.way(0, direct(WAN), 20);
        court.after(0);
        court.way(1, direct(LAN), rtt_ms);
        assert_eq!(court.after(10).contains(&uses(1, Why::Faster)), changes, "{rtt_ms} ms");
    }
}

#[test]
fn a_mode_keeps_to_its_ways() {
    let mut only_direct = Court::new(PathMode::DirectOnly, true);
    only_direct.way(0, direct(WAN), 20);
    only_direct.way(1, relay(), 1);
    assert_eq!(only_direct.after(0), [uses(0, Why::First)], "and asks for no relay");
    let silent = only_direct.flow(5000, false);
    assert!(!silent.iter().any(|step| matches!(step, Step::Use(..) | Step::AskRelay)), "{silent:?}");
    let mut only_relay = Court::new(PathMode::RelayOnly, true);
    only_relay.way(0, relay(), 20);
    only_relay.way(1, direct(LAN), 1);
    assert_eq!(only_relay.after(0), [uses(0, Why::First)], "and probes for nothing direct");
}

#[test]
fn a_way_without_acknowledgements_is_left_and_closed_within_its_patience() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40);
    court.after(0);
    assert_eq!(court.flow(3000, true), [], "all is well while they come");
    let before = court.now;
    let mut steps = Vec::new();
    while steps.is_empty() {
        steps = court.flow(100, false);
    }
    let took = court.now - before;
    assert!(took <= PATIENCE_MIN + Duration::from_millis(200), "{took:?}");
    let failed = Why::Failed(Failure::Silent);
    assert_eq!(steps, [uses(1, failed), Step::Distress, Step::Round]);
    assert_eq!(court.flow(200, true), [close(0)], "as soon as the other is proved");
    assert!(court.flow(4000, true).contains(&Step::Round), "and is probed for soon");
}

#[test]
fn an_idle_way_is_not_blamed_for_its_silence() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40);
    court.after(0);
    for _ in 0..100 {
        assert_eq!(court.after(5000), []);
    }
}

#[test]
fn a_way_that_loses_the_data_and_acknowledges_pings_is_left_and_avoided() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40);
    court.after(0);
    court.of_id(0).lost = 0;
    let mut steps = Vec::new();
    for _ in 0..10 {
        court.of_id(0).lost += 11_000;
        steps.extend(court.flow(100, true));
        if !steps.is_empty() {
            break;
        }
    }
    assert_eq!(steps[..2], [uses(1, Why::Failed(Failure::Lossy)), Step::Distress]);
    court.answer(0);
    assert_eq!(court.flow(200, true), [close(0)], "though it answers");
    court.way(2, direct(WAN), 20);
    assert!(!court.flow(1000, true).contains(&uses(2, Why::Direct)), "not again so soon");
    let later = court.flow(u64::try_from(AVOID_MIN.as_millis()).unwrap(), true);
    assert!(later.contains(&uses(2, Why::Direct)));
}

#[test]
fn a_place_that_fails_again_at_once_is_avoided_twice_as_long_until_it_makes_amends() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, relay(), 40);
    court.after(0);
    // For how many tenths of a second a direct way works, and how many seconds it is avoided after that.
    let table = [(5, 2), (5, 4), (40, 8), (5, 16), (5, 32), (5, 32), (60, 2), (5, 4)];
    for (id, (works, avoided)) in (1..).zip(table) {
        court.way(id, direct(WAN), 20);
        assert!(court.after(0).contains(&uses(id, Why::Direct)), "{id}");
        assert!(!court.flow(works * 100, true).contains(&close(id)), "{id}");
        let failed = (0..20).flat_map(|_| {
            court.of_id(id).lost += 11_000;
            court.flow(100, true)
        });
        assert!(failed.take_while(|step| *step != close(id)).count() < 20, "{id}");
        court.ways.retain(|way| way.id != PathId::from(id));
        court.way(100 + id, direct(WAN), 20);
        let early = court.flow(avoided * 1000 - 400, true);
        assert!(!early.contains(&uses(100 + id, Why::Direct)), "{id}: not for {avoided} s");
        court.ways.retain(|way| way.id != PathId::from(100 + id));
        court.after(500);
    }
}

#[test]
fn ordinary_loss_is_no_reason_to_leave() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40);
    court.after(0);
    for _ in 0..100 {
        court.of_id(0).lost += 12_000 * 3 / 10;
        assert_eq!(court.flow(100, true), []);
    }
}

#[test]
fn the_only_way_is_kept_until_it_answers_again() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.after(0);
    let steps = court.flow(10_000, false);
    let count = |wanted: &Step| steps.iter().filter(|step| *step == wanted).count();
    let touched = |step: &Step| matches!(step, Step::Close(_) | Step::Open(_));
    assert!(!steps.iter().any(touched), "{steps:?}");
    assert!((7..=11).contains(&count(&Step::Distress)), "every second: {steps:?}");
    assert!((3..=6).contains(&count(&Step::AskRelay)), "every other: {steps:?}");
    court.flow(100, true);
    let well = court.flow(10_000, true);
    assert!(well.iter().all(|step| *step == Step::AskRelay), "{well:?}");
}

#[test]
fn the_only_way_of_a_persistent_session_is_tried_anew_until_one_works() {
    let mode = PathMode::DirectFirst;
    let mut court = Court::of(Manners { mode, dialled: true, reserve: false, persistent: true });
    court.way(0, direct(WAN), 20);
    court.after(0);
    let steps = court.flow(10_000, false);
    let count = |wanted: &Step| steps.iter().filter(|step| *step == wanted).count();
    assert!(!steps.iter().any(|step| matches!(step, Step::Close(_))), "{steps:?}");
    let opened = count(&Step::Open(direct(WAN)));
    assert!((7..=11).contains(&opened), "every second: {opened}");
    assert!((3..=6).contains(&count(&Step::AskRelay)), "every other: {steps:?}");
    court.way(1, direct(WAN), 20);
    let steps = court.flow(100, false);
    assert_eq!(steps[0], uses(1, Why::Failed(Failure::Silent)));
    assert_eq!(court.flow(200, true)[0], close(0));
}

#[test]
fn an_attempt_under_way_is_not_begun_twice() {
    let mode = PathMode::DirectFirst;
    let mut court = Court::of(Manners { mode, dialled: true, reserve: false, persistent: true });
    court.way(0, direct(WAN), 20);
    court.after(0);
    court.way(1, direct(WAN), 20).validated = false;
    assert!(!court.flow(5000, false).contains(&Step::Open(direct(WAN))));
}

#[test]
fn rounds_come_ever_slower_and_keep_a_pace_while_data_flows() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, relay(), 20);
    court.after(0);
    let mut gaps = Vec::new();
    let mut last = court.now;
    while gaps.len() < 5 {
        if court.flow(100, true).contains(&Step::Round) {
            gaps.push((court.now - last).as_secs());
            last = court.now;
        }
    }
    assert_eq!(gaps, [2, 4, 4, 4, 4]);
}

#[test]
fn an_idle_session_is_no_longer_probed_and_is_again_when_it_is_used() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, relay(), 20);
    court.after(0);
    let rounds = |steps: &[Step]| steps.iter().filter(|step| **step == Step::Round).count();
    let mut hour = Vec::new();
    (0..720).for_each(|_| hour.extend(court.after(5000)));
    assert!((4..=8).contains(&rounds(&hour)), "{} in an hour", rounds(&hour));
    court.carried += 1;
    assert_eq!(court.after(100), [Step::Round]);
}

#[test]
fn a_persistent_session_is_probed_for_ever() {
    let manners = Manners { mode: PathMode::DirectFirst, dialled: true, reserve: false, persistent: true };
    let mut court = Court::of(manners);
    court.way(0, Place::Carrier(1), 20);
    court.after(0);
    let mut hour = Vec::new();
    (0..720).for_each(|_| hour.extend(court.after(5000)));
    let rounds = hour.iter().filter(|step| **step == Step::Round).count();
    assert!((230..=260).contains(&rounds), "every 15 s: {rounds}");
}

#[test]
fn without_a_reserve_the_relay_is_asked_for_in_distress_and_given_up_after() {
    let manners = Manners { mode: PathMode::DirectFirst, dialled: true, reserve: false, persistent: true };
    let mut court = Court::of(manners);
    court.way(0, direct(WAN), 20);
    assert_eq!(court.after(0), [uses(0, Why::First)]);
    assert!(court.flow(2000, false).contains(&Step::AskRelay));
    court.way(1, Place::Carrier(1), 20);
    let steps = court.flow(100, false);
    assert_eq!(steps[0], uses(1, Why::Failed(Failure::Silent)));
    assert_eq!(court.flow(200, true)[0], close(0));
    court.way(2, direct(WAN), 20);
    let steps = court.flow(100, true);
    assert!(steps.contains(&uses(2, Why::Direct)) && steps.contains(&close(1)), "{steps:?}");
}

#[test]
fn who_was_dialled_follows_and_opens_nothing() {
    let mut court = Court::new(PathMode::DirectFirst, false);
    court.way(0, relay(), 20);
    court.way(1, direct(WAN), 10).reserve = true;
    assert_eq!(court.after(0), [uses(0, Why::Followed)]);
    (court.of_id(0).reserve, court.of_id(1).reserve) = (true, false);
    assert_eq!(court.after(10), [uses(1, Why::Followed)]);
    assert_eq!(court.after(60_000), []);
}

#[test]
fn who_was_dialled_leaves_a_way_that_fails_it_and_does_not_follow_back() {
    let mut court = Court::new(PathMode::DirectFirst, false);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40).reserve = true;
    court.after(0);
    let steps = court.flow(1000, false);
    assert_eq!(steps[..2], [uses(1, Why::Failed(Failure::Silent)), Step::Distress], "and closes nothing");
    assert_eq!(court.flow(1000, true), []);
}

#[test]
fn a_way_the_other_end_cannot_use_is_closed_by_who_dialled() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    let way = *court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40);
    court.after(0);
    assert!(court.policy.refused(court.now, &way));
    assert_eq!(court.after(10)[0], uses(1, Why::Failed(Failure::Refused)));
    assert!(court.flow(200, true).contains(&close(0)), "once the other is proved");
}

#[test]
fn a_way_the_other_end_cannot_use_is_avoided_though_an_answer_is_due_on_it() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40);
    court.after(0);
    court.flow(100, false);
    let way = *court.of_id(0);
    assert!(court.policy.refused(court.now, &way));
    court.flow(300, true);
    court.way(2, direct(WAN), 20);
    assert!(!court.flow(1500, true).contains(&uses(2, Why::Direct)), "not again so soon");
    assert!(court.flow(1000, true).contains(&uses(2, Why::Direct)));
}

#[test]
fn a_place_that_is_found_again_and_falls_silent_again_is_avoided() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, relay(), 40);
    court.after(0);
    let mut silent = |id: u32| {
        court.way(id, direct(WAN), 20);
        assert!(court.flow(100, true).contains(&uses(id, Why::Direct)), "{id}");
        while court.policy.chosen() == Some(PathId::from(id)) {
            court.flow(100, false);
        }
        court.flow(300, true);
        court.way(10 + id, direct(WAN), 20);
        let again = court.flow(1000, true).contains(&uses(10 + id, Why::Direct));
        court.ways.retain(|way| way.id == PathId::ZERO);
        court.after(1500);
        again
    };
    assert!(silent(1), "once may be chance");
    assert!(!silent(2), "twice is not");
}

/// A session with a direct way and a relay, both silent since data was sent by each.
fn blackout(dialled: bool) -> Court {
    let mut court = Court::new(PathMode::DirectFirst, dialled);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40).reserve = true;
    court.after(0);
    court.flow(1000, true);
    assert!(!court.policy.gropes());
    let dark = court.flow(30_000, false);
    assert!(court.policy.gropes(), "each may be the one that works again");
    assert!(!dark.iter().any(|step| matches!(step, Step::Close(_))), "{dark:?}");
    let cries = dark.iter().filter(|step| **step == Step::Distress).count();
    assert!((20..=60).contains(&cries), "about every second: {cries}");
    while court.policy.chosen() != Some(PathId::ZERO) {
        court.flow(100, false);
    }
    court
}

#[test]
fn nothing_is_closed_while_nothing_answers_and_all_of_it_is_pinged() {
    for dialled in [true, false] {
        let court = blackout(dialled);
        for id in [0u32, 1] {
            let pings = court.pings.iter().filter(|ping| **ping == PathId::from(id)).count();
            assert!((20..=50).contains(&pings), "about every second, and more often at first: {pings}");
        }
    }
}

#[test]
fn what_awakes_from_a_silence_is_kept_and_used_and_not_judged_by_what_the_silence_lost() {
    for dialled in [true, false] {
        let mut court = blackout(dialled);
        // The first answer is of a packet that was sent before.
        let way = court.of_id(0);
        way.rtt = Duration::from_secs(4);
        court.acks += 1;
        let mut steps = court.after(100);
        let way = court.of_id(0);
        way.lost = way.sent / 10 * 9;
        court.answer(0);
        court.acks += 1;
        steps.extend(court.after(100));
        let way = *court.of_id(0);
        assert!(!court.policy.refused(court.now, &way), "said long ago");
        court.answer(1);
        for _ in 0..10 {
            // The rest of the loss is found bit by bit.
            court.of_id(0).lost += 12_000;
            steps.extend(court.flow(100, true));
        }
        steps.extend(court.flow(5000, true));
        assert!(!steps.iter().any(|step| matches!(step, Step::Close(_))), "{steps:?}");
        assert!(!steps.iter().any(|step| matches!(step, Step::Use(_, Why::Failed(_)))), "{steps:?}");
        assert_eq!(court.policy.chosen(), Some(PathId::ZERO));
    }
}

#[test]
fn a_way_that_stays_silent_while_the_one_in_use_has_awoken_is_closed_by_both_ends() {
    for dialled in [true, false] {
        let mut court = blackout(dialled);
        court.answer(0);
        let early = court.flow(900, true);
        assert!(!early.contains(&close(1)), "{early:?}");
        assert_eq!(court.policy.chosen(), Some(PathId::ZERO));
        let late = court.flow(500, true);
        assert!(late.contains(&close(1)), "{late:?}");
    }
}

#[test]
fn an_answer_to_what_was_sent_before_the_silence_is_none() {
    let mut court = blackout(true);
    court.of_id(0).rtt = Duration::from_secs(4);
    court.answer(1);
    court.acks += 2;
    let steps = [court.after(100), court.after(100)].concat();
    assert!(steps.contains(&uses(1, Why::Failed(Failure::Silent))), "the other has answered: {steps:?}");
    let steps = court.flow(1000, true);
    assert!(!steps.iter().any(|step| matches!(step, Step::Use(..))), "{steps:?}");
}

#[test]
fn a_way_whose_round_trip_spans_a_silence_is_not_closed() {
    let mut court = blackout(true);
    court.answer(0);
    court.of_id(1).rtt = Duration::from_secs(4);
    court.flow(100, true);
    let steps = court.flow(20_000, true);
    assert!(!steps.contains(&close(1)), "{steps:?}");
}

#[test]
fn a_silent_way_is_not_taken_back_because_the_other_loses_something() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.way(1, relay(), 40);
    court.after(0);
    while court.policy.chosen() == Some(PathId::ZERO) {
        court.flow(100, false);
    }
    court.of_id(1).lost += 11_000;
    let mut steps = court.flow(200, false);
    court.of_id(1).lost += 22_000;
    steps.extend(court.flow(100, true));
    assert!(!steps.iter().any(|step| matches!(step, Step::Use(..))), "{steps:?}");
}

#[test]
fn of_three_ways_that_fail_in_turn_the_one_that_works_is_found() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, direct(WAN), 20);
    court.way(1, direct(LAN), 30);
    court.way(2, relay(), 40);
    court.after(0);
    let before = court.now;
    while court.policy.chosen() != Some(PathId::from(2u32)) {
        court.flow(100, false);
        assert!(court.now - before < Duration::from_secs(3));
    }
    let steps = court.flow(200, true);
    assert!(steps.contains(&close(0)) && steps.contains(&close(1)), "{steps:?}");
}

#[test]
fn a_change_of_addresses_forgives_and_probes_at_once() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    court.way(0, relay(), 20);
    court.after(0);
    assert_eq!(court.after(100), []);
    court.policy.changed(court.now);
    assert_eq!(court.after(0), [Step::Round]);
}

#[test]
fn of_many_direct_ways_one_is_kept_in_reserve() {
    let mut court = Court::new(PathMode::DirectFirst, true);
    for id in 0..5 {
        court.way(id, direct(&format!("192.0.2.{id}:1")), 10 + u64::from(id));
    }
    let steps = court.after(0);
    let closed: Vec<&Step> = steps.iter().filter(|step| matches!(step, Step::Close(_))).collect();
    assert_eq!(closed, [&close(2), &close(3), &close(4)]);
}

#[test]
fn patience_is_three_probe_timeouts_within_bounds() {
    let table = [(1, PATIENCE_MIN), (100, Duration::from_millis(615)), (2000, PATIENCE_MAX)];
    for (rtt_ms, wanted) in table {
        assert_eq!(patience(Duration::from_millis(rtt_ms)), wanted, "{rtt_ms} ms");
    }
}
