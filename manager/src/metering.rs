//! What the relay has carried for each network, and how much more it may.
//!
//! The switch counts into a [`Meter`] for each node and a [`Budget`] for each network, packet by packet.
//! `Metering::tick` looks at the meters every [`FLUSH_EVERY`] and gives what has changed a day;
//! `Metering::unwritten` hands that to the storage, and `Metering::written` says whether it arrived: what
//! did not is handed over again. So a manager that is killed loses less than a second of its counts.
//!
//! Days and months are of UTC. When a month begins the budgets are full again; what is stored of it
//! already, because the clock was wrong for a while, is loaded and counted (`Metering::load`). A clock
//! that goes back is followed by the next start only.
//!
//! When a network has used [`WARN_PERCENT`] of its limit, or all of it, its nodes are to be told:
//! `Metering::tick` returns each such moment once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coco_tunnel::relay::{Budget, Meter};
use coconet::calendar::{Day, Month};
use coconet::id::{NetworkId, NodeId};
use coconet::wire::manager::WARN_PERCENT;

use crate::storage::{Relayed, Traffic};

/// How often changed counts are written: with the time that takes, less than a second.
pub const FLUSH_EVERY: Duration = Duration::from_millis(600);

/// Months of which the days are kept, the current one not counted.
pub const MONTHS_KEPT: u32 = 13;

/// Every network's counts of this month.
#[derive(Debug)]
pub(crate) struct Metering {
    limit: Option<u64>,
    today: Day,
    accounts: BTreeMap<NetworkId, Account>,
    /// What the storage has not got yet.
    unwritten: BTreeMap<(NetworkId, NodeId, Day), Traffic>,
    /// What is on its way there.
    in_flight: Vec<Relayed>,
}

/// One network's.
#[derive(Debug)]
struct Account {
    budget: Arc<Budget>,
    nodes: BTreeMap<NodeId, NodeAccount>,
    told: Level,
}

#[derive(Debug, Default)]
struct NodeAccount {
    meter: Arc<Meter>,
    /// What of the meter has been given a day.
    counted: Traffic,
    days: BTreeMap<Day, Traffic>,
}

/// How near a network is to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Fine,
    Warned,
    Spent,
}

/// A network's use and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

/// What a tick found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Networks that have just come near their limit, or to it.
    pub(crate) warnings: Vec<(NetworkId, Quota)>,
    /// A month has begun: load what is stored of it, and forget the oldest.
    pub(crate) new_month: Option<Month>,
}

impl Metering {
    /// Nothing relayed yet, as far as is known; `limit` is each network's for a month.
    pub(crate) fn new(limit: Option<u64>, now_ms: u64) -> Self {
        Self {
            limit,
            today: Day::at(now_ms),
            accounts: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            in_flight: Vec::new(),
        }
    }

    /// Count what is stored of this month. Whoever was near the limit then has been told.
    pub(crate) fn load(&mut self, rows: &[Relayed]) {
        let month = self.month();
        for row in rows.iter().filter(|row| row.day.month() == month) {
            let account = self.account(row.network);
            account.budget.used.fetch_add(row.traffic.sent, Ordering::Relaxed);
            *account.nodes.entry(row.node).or_default().days.entry(row.day).or_default() += row.traffic;
        }
        for account in self.accounts.values_mut() {
            account.told = account.told.max(level(&account.budget));
        }
    }

    /// What `node` counts into, and what its network may still use.
    pub(crate) fn meters(&mut self, network: NetworkId, node: NodeId) -> (Arc<Meter>, Arc<Budget>) {
        let account = self.account(network);
        let meter = Arc::clone(&account.nodes.entry(node).or_default().meter);
        (meter, Arc::clone(&account.budget))
    }

    /// Whether `network` has used all it may this month.
    pub(crate) fn is_spent(&self, network: NetworkId) -> bool {
        self.accounts.get(&network).is_some_and(|account| account.budget.is_spent())
    }

    /// What to tell a node that comes: how near its network is to its limit, if it is.
    pub(crate) fn near_limit(&self, network: NetworkId) -> Option<Quota> {
        let account = self.accounts.get(&network)?;
        (level(&account.budget) > Level::Fine).then(|| quota(&account.budget))
    }

    /// The current month.
    pub(crate) fn month(&self) -> Month {
        self.today.month()
    }

    /// Give what was counted since the last time a day, and see what that means.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Found {
        self.count();
        let mut found = Found::default();
        for (network, account) in &mut self.accounts {
            let level = level(&account.budget);
            if level > account.told {
                account.told = level;
                found.warnings.push((*network, quota(&account.budget)));
            }
        }
        let (before, today) = (self.today.month(), Day::at(now_ms).max(self.today));
        self.today = today;
        if today.month() != before {
            self.accounts.values_mut().for_each(Account::begin_month);
            found.new_month = Some(today.month());
        }
        found
    }

    /// What is to be written, unless something is being written already.
    pub(crate) fn unwritten(&mut self) -> Option<Vec<Relayed>> {
        if self.unwritten.is_empty() || !self.in_flight.is_empty() {
            return None;
        }
        let rows = std::mem::take(&mut self.unwritten).into_iter();
        let row = |((network, node, day), traffic)| Relayed { network, node, day, traffic };
        self.in_flight = rows.map(row).collect();
        Some(self.in_flight.clone())
    }

    /// What was handed over last has been written, or not.
    pub(crate) fn written(&mut self, arrived: bool) {
        for row in std::mem::take(&mut self.in_flight).into_iter().filter(|_| !arrived) {
            *self.unwritten.entry((row.network, row.node, row.day)).or_default() += row.traffic;
        }
    }

    /// What `network` has had relayed this month, node by node and day by day.
    pub(crate) fn of(&mut self, network: NetworkId) -> Vec<Relayed> {
        self.count();
        let nodes = self.accounts.get(&network).into_iter().flat_map(|account| &account.nodes);
        let rows = nodes.flat_map(|(node, account)| {
            account.days.iter().map(|(day, traffic)| Relayed {
                network,
                node: *node,
                day: *day,
                traffic: *traffic,
            })
        });
        rows.collect()
    }

    /// The networks that had something relayed this month, and how much.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (NetworkId, u64)> {
        let used = |account: &Account| account.budget.used.load(Ordering::Relaxed);
        self.accounts.iter().map(move |(network, account)| (*network, used(account))).filter(|it| it.1 > 0)
    }

    fn account(&mut self, network: NetworkId) -> &mut Account {
        let limit = self.limit.unwrap_or(u64::MAX);
        self.accounts.entry(network).or_insert_with(|| Account {
            budget: Arc::new(Budget::new(0, limit)),
            nodes: BTreeMap::new(),
            told: Level::Fine,
        })
    }

    fn count(&mut self) {
        for (network, account) in &mut self.accounts {
            for (node, account) in &mut account.nodes {
                let now = Traffic {
                    sent: account.meter.sent.load(Ordering::Relaxed),
                    received: account.meter.received.load(Ordering::Relaxed),
                };
                if now == account.counted {
                    continue;
                }
                let more = Traffic {
                    sent: now.sent - account.counted.sent,
                    received: now.received - account.counted.received,
                };
                account.counted = now;
                *account.days.entry(self.today).or_default() += more;
                *self.unwritten.entry((*network, *node, self.today)).or_default() += more;
            }
        }
    }
}

impl Account {
    fn begin_month(&mut self) {
        self.budget.used.store(0, Ordering::Relaxed);
        self.told = Level::Fine;
        self.nodes.values_mut().for_each(|node| node.days.clear());
    }
}

fn level(budget: &Budget) -> Level {
    let Quota { used, limit } = quota(budget);
    if limit == u64::MAX {
        Level::Fine
    } else if used >= limit {
        Level::Spent
    } else if u128::from(used) * 100 >= u128::from(limit) * u128::from(WARN_PERCENT) {
        Level::Warned
    } else {
        Level::Fine
    }
}

fn quota(budget: &Budget) -> Quota {
    Quota { used: budget.used.load(Ordering::Relaxed), limit: budget.limit.load(Ordering::Relaxed) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::id::Hash;

    use super::*;

    const NET: NetworkId = NetworkId(Hash([1; 32]));
    const CAM: NodeId = NodeId([1; 32]);
    const PHONE: NodeId = NodeId([2; 32]);

    /// 2026-07-31 12:00 UTC, and noon of the next day.
    const JULY: u64 = 1_785_499_200_000;
    const AUGUST: u64 = JULY + 24 * 3_600_000;

    /// What the switch does for bytes from the camera to the phone.
    fn relay(metering: &mut Metering, bytes: u64) {
        let (sender, budget) = metering.meters(NET, CAM);
        let (receiver, _) = metering.meters(NET, PHONE);
        sender.sent.fetch_add(bytes, Ordering::Relaxed);
        receiver.received.fetch_add(bytes, Ordering::Relaxed);
        budget.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn row(node: NodeId, day: u32, sent: u64, received: u64) -> Relayed {
        let day = Day::from_number(day).unwrap();
        Relayed { network: NET, node, day, traffic: Traffic { sent, received } }
    }

    #[test]
    fn bytes_are_written_once_and_again_only_if_they_did_not_arrive() {
        let mut metering = Metering::new(None, JULY);
        assert_eq!(metering.unwritten(), None);
        relay(&mut metering, 100);
        metering.tick(JULY);
        let rows = vec![row(CAM, 20_260_731, 100, 0), row(PHONE, 20_260_731, 0, 100)];
        assert_eq!(metering.unwritten(), Some(rows));
        relay(&mut metering, 5);
        metering.tick(JULY);
        assert_eq!(metering.unwritten(), None, "one write at a time");
        metering.written(false);
        let rows = vec![row(CAM, 20_260_731, 105, 0), row(PHONE, 20_260_731, 0, 105)];
        assert_eq!(metering.unwritten(), Some(rows.clone()));
        metering.written(true);
        metering.tick(JULY);
        assert_eq!(metering.unwritten(), None);
        assert_eq!(metering.of(NET), rows);
        assert_eq!(metering.totals().collect::<Vec<_>>(), [(NET, 105)]);
    }

    #[test]
    fn a_new_month_begins_with_a_whole_budget_and_the_old_one_is_kept() {
        let mut metering = Metering::new(Some(100), JULY);
        relay(&mut metering, 100);
        assert!(metering.is_spent(NET));
        let found = metering.tick(AUGUST);
        assert_eq!(found.new_month, Some(Month::at(AUGUST)));
        assert_eq!(found.warnings, [(NET, Quota { used: 100, limit: 100 })], "said of the old month");
        assert!(!metering.is_spent(NET) && metering.near_limit(NET).is_none());
        let rows = vec![row(CAM, 20_260_731, 100, 0), row(PHONE, 20_260_731, 0, 100)];
        assert_eq!(metering.unwritten(), Some(rows));
        metering.written(true);
        assert_eq!(metering.of(NET), []);
        relay(&mut metering, 90);
        let found = metering.tick(AUGUST);
        assert_eq!(found.warnings, [(NET, Quota { used: 90, limit: 100 })], "and again in the new one");
        assert_eq!(metering.of(NET)[0], row(CAM, 20_260_801, 90, 0));
        // A clock that goes back does not bring the old month back.
        assert_eq!(metering.tick(JULY), Found::default());
        assert_eq!(metering.month(), Month::at(AUGUST));
    }

    #[test]
    fn warnings_are_given_once_each_and_not_again_after_a_restart() {
        let mut metering = Metering::new(Some(1000), JULY);
        let mut warned = Vec::new();
        for _ in 0..110 {
            relay(&mut metering, 10);
            let found = metering.tick(JULY);
            warned.extend(found.warnings.into_iter().map(|(_, quota)| quota.used));
        }
        assert_eq!(warned, [800, 1000]);
        let mut restarted = Metering::new(Some(1000), JULY);
        restarted.load(&metering.of(NET));
        assert!(restarted.is_spent(NET));
        assert_eq!(restarted.tick(JULY), Found::default());
        assert_eq!(restarted.near_limit(NET), Some(Quota { used: 1100, limit: 1000 }));
        assert_eq!(restarted.unwritten(), None, "what was loaded is there already");
        assert_eq!(restarted.of(NET), metering.of(NET));
    }

    #[test]
    fn what_is_stored_of_a_month_that_begins_again_counts() {
        // A machine that wakes up in 1970 and then asks what time it is.
        let mut metering = Metering::new(Some(100), 0);
        assert_eq!(metering.tick(JULY).new_month, Some(Month::at(JULY)));
        relay(&mut metering, 7);
        metering.load(&[row(CAM, 20_260_731, 100, 0), row(PHONE, 20_260_731, 0, 100)]);
        assert!(metering.is_spent(NET));
        metering.tick(JULY);
        assert_eq!(metering.of(NET), [row(CAM, 20_260_731, 107, 0), row(PHONE, 20_260_731, 0, 107)]);
        let rows = vec![row(CAM, 20_260_731, 7, 0), row(PHONE, 20_260_731, 0, 7)];
        assert_eq!(metering.unwritten(), Some(rows));
    }

    #[test]
    fn without_a_limit_nobody_is_warned() {
        let mut metering = Metering::new(None, JULY);
        relay(&mut metering, u64::MAX / 2);
        assert_eq!(metering.tick(JULY), Found::default());
        assert!(!metering.is_spent(NET) && metering.near_limit(NET).is_none());
    }
}
