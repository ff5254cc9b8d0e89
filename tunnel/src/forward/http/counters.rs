//! What a resource's HTTP forwarding has done, for `tunnel list`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use coconet::control::facts::HttpFacts;

use super::refusal::Refusal;

/// Seconds over which requests are averaged.
pub const RATE_SPAN: usize = 10;

/// Counters of one resource, shared by its connections.
#[derive(Debug)]
pub struct Counters {
    began: Instant,
    requests: AtomicU64,
    recent: Mutex<Recent>,
    refused: [AtomicU64; Refusal::ALL.len()],
    upgrades: AtomicU64,
}

/// How many there were in each of the last seconds.
#[derive(Debug, Default)]
struct Recent {
    counts: [u32; RATE_SPAN],
    newest: u64,
}

/// Counts one upgraded connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Upgraded<'a>(&'a Counters);

impl Default for Counters {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            requests: AtomicU64::default(),
            recent: Mutex::default(),
            refused: std::array::from_fn(|_| AtomicU64::default()),
            upgrades: AtomicU64::default(),
        }
    }
}

impl Counters {
    /// Requests forwarded so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests in a second, over the last [`RATE_SPAN`] seconds.
    pub fn per_second(&self) -> f64 {
        self.recent().per_second(self.now())
    }

    /// How often each refusal was given that was given at all.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let counts = Refusal::ALL.into_iter().zip(&self.refused);
        counts
            .map(|(refusal, count)| (refusal, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }

    /// Upgraded connections now.
    pub fn upgrades(&self) -> u64 {
        self.upgrades.load(Ordering::Relaxed)
    }

    /// For a list.
    pub fn facts(&self) -> HttpFacts {
        HttpFacts {
            requests: self.requests(),
            requests_per_second: self.per_second(),
            refused: self.refused().map(|(refusal, count)| (refusal.to_string(), count)).collect(),
            upgrades: self.upgrades(),
        }
    }

    pub(super) fn requested(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.recent().add(self.now());
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        self.refused[refusal.number()].fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%refusal, "HTTP not forwarded");
    }

    pub(super) fn upgraded(&self) -> Upgraded<'_> {
        self.upgrades.fetch_add(1, Ordering::Relaxed);
        Upgraded(self)
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Upgraded<'_> {
    fn drop(&mut self) {
        self.0.upgrades.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Recent {
    fn add(&mut self, second: u64) {
        self.forget(second);
        let slot = &mut self.counts[slot(second)];
        *slot = slot.saturating_add(1);
    }

    fn per_second(&mut self, second: u64) -> f64 {
        self.forget(second);
        let sum: f64 = self.counts.iter().copied().map(f64::from).sum();
        sum / RATE_SPAN as f64
    }

    /// Seconds that have passed since the newest begin with nothing.
    fn forget(&mut self, second: u64) {
        let passed = second.saturating_sub(self.newest).min(RATE_SPAN as u64);
        (0..passed).for_each(|back| self.counts[slot(second - back)] = 0);
        self.newest = self.newest.max(second);
    }
}

fn slot(second: u64) -> usize {
    (second % RATE_SPAN as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_averaged_over_the_last_seconds_and_forgotten_after() {
        let mut recent = Recent::default();
        (0..5).for_each(|_| recent.add(100));
        (0..15).for_each(|_| recent.add(103));
        assert_eq!(recent.per_second(103), 2.0);
        assert_eq!(recent.per_second(109), 2.0);
        assert_eq!(recent.per_second(110), 1.5);
        assert_eq!(recent.per_second(113), 0.0);
        recent.add(1_000_000);
        assert_eq!(recent.per_second(1_000_000), 0.1);
    }

    #[test]
    fn refusals_are_told_by_reason_and_upgrades_while_they_live() {
        let counters = Counters::default();
        counters.refuse(Refusal::Trace);
        counters.refuse(Refusal::Trace);
        counters.refuse(Refusal::MaxClients);
        let refused: Vec<_> = counters.refused().collect();
        assert_eq!(refused, [(Refusal::Trace, 2), (Refusal::MaxClients, 1)]);
        let upgraded = counters.upgraded();
        assert_eq!(counters.upgrades(), 1);
        drop(upgraded);
        assert_eq!(counters.upgrades(), 0);
    }
}
