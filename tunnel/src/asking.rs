//! Congestion control that lets a silent way be asked.
//!
//! What was lost on a way is known when something is acknowledged that was sent later. QUIC sends a probe for that,
//! but ever more seldom, after half a minute every ten seconds; and nothing else may be sent once the congestion window is
//! full of what was lost. [`Asking`] is noq's usual control (CUBIC) whose window has room for one more packet whenever
//! something is in flight and nothing was sent or acknowledged for [`ASK_AFTER`]. A ping fills that room
//! ([`crate::paths::policy::Step::Ping`]).

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use noq_proto::RttEstimator;
use noq_proto::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};

/// After so long without a packet sent or acknowledged one may be sent beyond the window. Less than
/// [`crate::paths::policy::SILENCE`], so that every ping finds room.
pub const ASK_AFTER: Duration = Duration::from_millis(500);

/// Makes the control of each way.
#[derive(Debug)]
pub(crate) struct Asking;

impl ControllerFactory for Asking {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::new(CubicConfig::default()).build(now, mtu);
        Box::new(Control { inner, mtu: mtu.into(), flight: 0, last: now })
    }
}

#[derive(Debug)]
struct Control {
    inner: Box<dyn Controller>,
    mtu: u64,
    /// Bytes in flight.
    flight: u64,
    /// When something was last sent or acknowledged.
    last: Instant,
}

impl Control {
    fn window_at(&self, now: impl FnOnce() -> Instant) -> u64 {
        let (window, wanted) = (self.inner.window(), self.flight + self.mtu);
        if self.flight > 0 && wanted > window && now().saturating_duration_since(self.last) >= ASK_AFTER {
            return wanted;
        }
        window
    }
}

impl Controller for Control {
    fn on_sent(&mut self, now: Instant, bytes: u64, largest: u64) {
        self.inner.on_sent(now, bytes, largest);
    }

    fn on_packet_sent(&mut self, now: Instant, bytes: u16, number: u64) {
        (self.flight, self.last) = (self.flight + u64::from(bytes), now);
        self.inner.on_packet_sent(now, bytes, number);
    }

    fn on_cwnd_limited(&mut self) {
        self.inner.on_cwnd_limited();
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        number: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.inner.on_ack(now, sent, bytes, number, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        (self.flight, self.last) = (in_flight, now);
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        persistent: bool,
        ecn: bool,
        lost: u64,
        largest: u64,
    ) {
        self.inner.on_congestion_event(now, sent, persistent, ecn, lost, largest);
    }

    fn on_packet_lost(&mut self, lost: u16, number: u64, now: Instant) {
        self.flight = self.flight.saturating_sub(lost.into());
        self.inner.on_packet_lost(lost, number, now);
    }

    fn on_spurious_congestion_event(&mut self) {
        self.inner.on_spurious_congestion_event();
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.mtu = mtu.into();
        self.inner.on_mtu_update(mtu);
    }

    fn on_ack_frequency_update(&mut self, threshold: u64, delay: Duration) {
        self.inner.on_ack_frequency_update(threshold, delay);
    }

    fn window(&self) -> u64 {
        self.window_at(Instant::now)
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), ..*self })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u16 = 1200;

    /// Whether another packet may be sent.
    fn may(control: &dyn Fn() -> u64, flight: u64) -> bool {
        flight + u64::from(MTU) <= control()
    }

    #[test]
    fn a_full_window_has_room_for_one_packet_after_each_silence() {
        let began = Instant::now();
        let inner = Arc::new(CubicConfig::default()).build(began, MTU);
        let mut control = Control { inner, mtu: MTU.into(), flight: 0, last: began };
        let mut flight = 0;
        while may(&|| control.window_at(|| began), flight) {
            control.on_packet_sent(began, MTU, 0);
            flight += u64::from(MTU);
        }
        let mut now = began;
        for _ in 0..40 {
            assert!(!may(&|| control.window_at(|| now + ASK_AFTER / 2), flight));
            now += ASK_AFTER;
            assert!(may(&|| control.window_at(|| now), flight));
            control.on_packet_sent(now, MTU, 0);
            flight += u64::from(MTU);
            assert!(!may(&|| control.window_at(|| now), flight), "one only");
        }
        control.on_end_acks(now, 1, false, Some(0));
        assert_eq!(control.window_at(|| now + ASK_AFTER), control.inner.window(), "there is room");
        control.on_end_acks(now, 0, false, Some(0));
        assert_eq!(control.window_at(|| now + ASK_AFTER), control.inner.window(), "nothing waits");
    }
}
