//! Who has which flow, at the listener's end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Local clients by address, and by flow.
#[derive(Debug)]
pub(super) struct Clients {
    max: usize,
    idle: Duration,
    flows: BTreeMap<SocketAddr, u32>,
    clients: BTreeMap<u32, (SocketAddr, Instant)>,
    next: u32,
}

impl Clients {
    /// At most `max` of them, each forgotten after `idle` without a datagram.
    pub(super) fn new(max: usize, idle: Duration) -> Self {
        Self { max, idle, flows: BTreeMap::new(), clients: BTreeMap::new(), next: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether a client has a flow.
    pub(super) fn knows(&self, client: SocketAddr) -> bool {
        self.flows.contains_key(&client)
    }

    /// The flow of a client that sends: its own, or a new one.
    pub(super) fn flow_of(&mut self, now: Instant, client: SocketAddr) -> u32 {
        let flow = match self.flows.get(&client) {
            Some(flow) => *flow,
            None => self.begin(client),
        };
        self.clients.insert(flow, (client, now));
        flow
    }

    /// Whom an answer in a flow is for.
    pub(super) fn client_of(&mut self, now: Instant, flow: u32) -> Option<SocketAddr> {
        let (client, used) = self.clients.get_mut(&flow)?;
        *used = now;
        Some(*client)
    }

    /// Forget who was silent for too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        let idle = self.idle;
        self.clients.retain(|_, (_, used)| now.saturating_duration_since(*used) < idle);
        let clients = &self.clients;
        self.flows.retain(|_, flow| clients.contains_key(flow));
    }

    fn begin(&mut self, client: SocketAddr) -> u32 {
        if self.clients.len() >= self.max
            && let Some(silent) =
                self.clients.iter().min_by_key(|(_, (_, used))| *used).map(|(flow, _)| *flow)
            && let Some((gone, _)) = self.clients.remove(&silent)
        {
            self.flows.remove(&gone);
        }
        let flow = self.next;
        // After four thousand million clients the first is long gone.
        self.next = self.next.wrapping_add(1);
        self.flows.insert(client, flow);
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_client_keeps_its_flow_and_another_gets_another() {
        let (mut clients, now) = (Clients::new(8, Duration::from_secs(1)), Instant::now());
        let (a, b) = (clients.flow_of(now, client(1)), clients.flow_of(now, client(2)));
        assert_ne!(a, b);
        assert_eq!(clients.flow_of(now, client(1)), a);
        assert_eq!(clients.client_of(now, b), Some(client(2)));
        assert_eq!(clients.client_of(now, 77), None);
    }

    #[test]
    fn one_that_is_silent_is_forgotten_and_an_answer_counts_as_life() {
        let (mut clients, began) = (Clients::new(8, Duration::from_secs(10)), Instant::now());
        let (a, b) = (clients.flow_of(began, client(1)), clients.flow_of(began, client(2)));
        let later = began + Duration::from_secs(6);
        assert!(clients.client_of(later, b).is_some());
        clients.sweep(began + Duration::from_secs(10));
        assert_eq!((clients.client_of(later, a), clients.client_of(later, b)), (None, Some(client(2))));
        assert_ne!(clients.flow_of(later, client(1)), a);
        assert_eq!(clients.len(), 2);
    }

    #[test]
    fn at_the_limit_the_one_that_was_silent_longest_makes_room() {
        let (mut clients, began) = (Clients::new(2, Duration::from_secs(10)), Instant::now());
        let at = |s| began + Duration::from_secs(s);
        let a = clients.flow_of(at(0), client(1));
        let b = clients.flow_of(at(1), client(2));
        clients.flow_of(at(2), client(1));
        clients.flow_of(at(3), client(3));
        assert_eq!(clients.len(), 2);
        assert_eq!(clients.client_of(at(3), b), None);
        assert_eq!(clients.client_of(at(3), a), Some(client(1)));
    }
}
