//! What is counted of an MQTT resource, and which filters its clients have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coconet::control::facts::{
    MQTT_FILTER_MAX, MQTT_SUBSCRIPTIONS_MAX, MqttDenied, MqttFacts, MqttSubscription,
};

/// Most filters that one connection may have subscribed. A program that lists every sensor of a large
/// house has a thousand; each one costs the broker memory, and a grant with a wildcard has room for
/// any number.
pub const SUBSCRIPTIONS_MAX: usize = 4096;

/// Most bytes of filters that one connection may have subscribed.
pub const SUBSCRIBED_BYTES_MAX: usize = 512 * 1024;

/// Shared by the connections of one resource.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) clients: AtomicU64,
    pub(super) messages_in: AtomicU64,
    pub(super) messages_out: AtomicU64,
    pub(super) denied_connect: AtomicU64,
    pub(super) denied_publish: AtomicU64,
    pub(super) denied_subscribe: AtomicU64,
    pub(super) denied_deliver: AtomicU64,
    pub(super) malformed: AtomicU64,
    filters: Mutex<BTreeMap<Arc<str>, u64>>,
}

/// What one connection has subscribed, and that it is connected; forgotten with it.
#[derive(Debug)]
pub(super) struct Subscribed<'a> {
    counters: &'a Counters,
    filters: BTreeSet<Arc<str>>,
    bytes: usize,
    connected: bool,
}

impl Counters {
    /// As they stand.
    pub fn facts(&self) -> MqttFacts {
        let mut all: Vec<(Arc<str>, u64)> =
            self.filters().iter().map(|(filter, clients)| (Arc::clone(filter), *clients)).collect();
        all.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let more = all.len().saturating_sub(MQTT_SUBSCRIPTIONS_MAX) as u64;
        all.truncate(MQTT_SUBSCRIPTIONS_MAX);
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MqttFacts {
            clients: now(&self.clients),
            subscriptions: all
                .into_iter()
                .map(|(filter, clients)| MqttSubscription { filter: shown(&filter), clients })
                .collect(),
            more_subscriptions: more,
            messages_in: now(&self.messages_in),
            messages_out: now(&self.messages_out),
            denied: MqttDenied {
                connect: now(&self.denied_connect),
                publish: now(&self.denied_publish),
                subscribe: now(&self.denied_subscribe),
                deliver: now(&self.denied_deliver),
            },
            malformed: now(&self.malformed),
        }
    }

    fn filters(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, u64>> {
        // Nothing that can panic happens under it.
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Subscribed<'a> {
    pub(super) fn new(counters: &'a Counters) -> Self {
        Self { counters, filters: BTreeSet::new(), bytes: 0, connected: false }
    }

    /// The broker has accepted the client.
    pub(super) fn connected(&mut self) {
        if !self.connected {
            self.connected = true;
            self.counters.clients.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One more filter; `None` when there is no room.
    pub(super) fn add(&mut self, filter: &str) -> Option<Arc<str>> {
        if let Some(known) = self.filters.get(filter) {
            return Some(Arc::clone(known));
        }
        if self.filters.len() == SUBSCRIPTIONS_MAX || self.bytes + filter.len() > SUBSCRIBED_BYTES_MAX {
            return None;
        }
        let mut shared = self.counters.filters();
        let filter =
            shared.get_key_value(filter).map_or_else(|| Arc::from(filter), |(known, _)| Arc::clone(known));
        *shared.entry(Arc::clone(&filter)).or_default() += 1;
        self.bytes += filter.len();
        self.filters.insert(Arc::clone(&filter));
        Some(filter)
    }

    /// One less, if it was there.
    pub(super) fn remove(&mut self, filter: &str) {
        if self.filters.remove(filter) {
            self.bytes -= filter.len();
            release(&mut self.counters.filters(), filter);
        }
    }
}

impl Drop for Subscribed<'_> {
    fn drop(&mut self) {
        if self.connected {
            self.counters.clients.fetch_sub(1, Ordering::Relaxed);
        }
        let mut shared = self.counters.filters();
        self.filters.iter().for_each(|filter| release(&mut shared, filter));
    }
}

fn release(shared: &mut BTreeMap<Arc<str>, u64>, filter: &str) {
    if let Some(clients) = shared.get_mut(filter) {
        *clients -= 1;
        if *clients == 0 {
            shared.remove(filter);
        }
    }
}

/// A filter of any length, as it is listed.
fn shown(filter: &str) -> String {
    if filter.len() <= MQTT_FILTER_MAX {
        return filter.to_owned();
    }
    let end = (0..=MQTT_FILTER_MAX - 3).rev().find(|at| filter.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &filter[..end])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn listed(counters: &Counters) -> Vec<(String, u64)> {
        let facts = counters.facts();
        facts.subscriptions.into_iter().map(|one| (one.filter, one.clients)).collect()
    }

    #[test]
    fn filters_are_listed_with_how_many_clients_have_them() {
        let counters = Counters::default();
        let (mut one, mut other) = (Subscribed::new(&counters), Subscribed::new(&counters));
        one.connected();
        one.connected();
        other.connected();
        for filter in ["a", "b", "b"] {
            one.add(filter).unwrap();
        }
        other.add("b").unwrap();
        assert_eq!(listed(&counters), [("b".to_owned(), 2), ("a".to_owned(), 1)]);
        assert_eq!(counters.facts().clients, 2);
        one.remove("b");
        one.remove("never there");
        drop(other);
        assert_eq!(listed(&counters), [("a".to_owned(), 1)]);
        drop(one);
        assert_eq!(counters.facts(), MqttFacts::default());
    }

    #[test]
    fn a_connection_has_room_for_so_many_filters_and_the_list_for_fewer() {
        let counters = Counters::default();
        let mut one = Subscribed::new(&counters);
        for number in 0..SUBSCRIPTIONS_MAX {
            one.add(&number.to_string()).unwrap();
        }
        assert_eq!(one.add("one more"), None);
        one.remove("7");
        one.add("one more").unwrap();
        let facts = counters.facts();
        assert_eq!(facts.subscriptions.len(), MQTT_SUBSCRIPTIONS_MAX);
        assert_eq!(facts.more_subscriptions, (SUBSCRIPTIONS_MAX - MQTT_SUBSCRIPTIONS_MAX) as u64);
        drop(one);
        let mut long = Subscribed::new(&counters);
        for letter in 0..8 {
            long.add(&format!("{letter}{}", "ä".repeat(32_767))).unwrap();
        }
        assert_eq!(long.add(&"x".repeat(65_535)), None);
        let shown = &counters.facts().subscriptions[0].filter;
        assert!(shown.len() <= MQTT_FILTER_MAX && shown.ends_with("ä..."), "{shown}");
    }
}
