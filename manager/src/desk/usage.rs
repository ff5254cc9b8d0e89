//! What was relayed: counted, written, warned of and told.

use coconet::calendar::{Day, Month};
use coconet::id::{NetworkId, NodeId};
use coconet::ledger::State;
use coconet::role::Role;
use coconet::wire::manager::{DayUsage, NodeUsage, Response, USAGE_NODES_MAX, failed};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

use super::{Answer, Desk, Done, Late, Peer, could_not_store};
use crate::counters::Refusal;
use crate::metering::{MONTHS_KEPT, Quota};
use crate::network::refuse;
use crate::now_ms;
use crate::presence::Presence;
use crate::storage::{Relayed, StorageError, Traffic, Write};

/// Whose use somebody is told.
#[derive(Debug, Clone)]
enum Scope {
    Whole,
    Nodes(Vec<NodeId>),
}

/// A plan as it is told: its name and its limit.
type Told = (Option<String>, Option<u64>);

impl From<Quota> for Response {
    fn from(Quota { used, limit }: Quota) -> Self {
        Self::Quota { used, limit }
    }
}

impl<P: Presence> Desk<P> {
    /// Look at the meters: write what they show, and warn whom it concerns.
    pub(super) fn count(&mut self) {
        let found = self.metering.tick(now_ms());
        for (network, quota) in found.warnings {
            tracing::info!(%network, used = quota.used, limit = quota.limit, "relay quota");
            let notice = quota.into();
            for (session, sitting) in &self.sessions {
                let nodes = sitting.registered.iter().filter(|known| known.network == network);
                nodes.for_each(|known| self.notify(*session, network, known.node, &notice));
            }
        }
        if let Some(month) = found.new_month {
            let storage = self.storage.clone();
            self.work.spawn(async move {
                let rows = storage.relayed(month, None).await;
                storage.note(Write::Forget(month.back(MONTHS_KEPT))).await;
                Done::Loaded(rows)
            });
        }
        self.write_counts();
    }

    /// Forget the months that are not kept any more; a manager that was away when one began does so late.
    pub(super) async fn forget_old_counts(&self) {
        self.storage.note(Write::Forget(self.metering.month().back(MONTHS_KEPT))).await;
    }

    fn write_counts(&mut self) {
        let Some(rows) = self.metering.unwritten() else { return };
        let storage = self.storage.clone();
        self.work.spawn(async move { Done::Counted(storage.write(Write::Relayed(rows)).await) });
    }

    pub(super) fn counted(&mut self, outcome: Result<(), StorageError>) {
        if let Err(error) = &outcome
            && self.counters.refuse(Refusal::Storage)
        {
            tracing::error!(%error, "what was relayed could not be stored; it is tried again");
        }
        self.storage_failing = outcome.is_err();
        self.metering.written(outcome.is_ok());
    }

    pub(super) fn loaded(&mut self, outcome: Result<Vec<Relayed>, StorageError>) {
        match outcome {
            Ok(rows) => self.metering.load(&rows),
            Err(error) => tracing::error!(%error, "what was relayed this month could not be read"),
        }
    }

    /// Answer what was relayed in a month: this one's from memory, an earlier one's from the storage.
    pub(super) fn usage(
        &mut self,
        peer: Peer,
        network: NetworkId,
        month: Option<u32>,
        reply: oneshot::Sender<Answer>,
    ) {
        let scope = match self.member(&peer, network) {
            Ok((known, node)) => scope(known.state(), node),
            Err(refusal) => return self.answer(&peer, reply, Answer::Messages(vec![refusal])),
        };
        let current = self.metering.month();
        let month = match month.map(Month::from_number) {
            None => current,
            Some(Some(month)) if (current.back(MONTHS_KEPT)..=current).contains(&month) => month,
            Some(_) => {
                let refusal = refuse(failed::PROTOCOL, "what was relayed in that month is not known");
                return self.answer(&peer, reply, Answer::Messages(vec![refusal]));
            }
        };
        let plan = self.plan.as_ref();
        let limit = plan.and_then(|(_, plan)| plan.relay_bytes_per_month).map(|bytes| bytes.0);
        let told = (plan.map(|(name, _)| name.to_string()), limit);
        if month == current {
            let rows = self.metering.of(network);
            return self.answer(&peer, reply, Answer::Messages(pages(month, told, &scope, &rows)));
        }
        let storage = self.storage.clone();
        self.work.spawn(async move {
            let answer = match storage.relayed(month, Some(network)).await {
                Ok(rows) => pages(month, told, &scope, &rows),
                Err(error) => vec![could_not_store(&error)],
            };
            Done::Answer(Box::new(Late { peer, reply, answer: Answer::Messages(answer) }))
        });
    }
}

/// Owners and admins are told all, a guest of its own nodes, a device of itself.
fn scope(state: &State, node: NodeId) -> Scope {
    match state.authority(node) {
        Some(Role::Owner | Role::Admin) => Scope::Whole,
        Some(Role::Guest) => {
            let user = state.nodes().get(&node).map(|own| &own.user);
            let own = state.nodes().iter().filter(|(_, other)| Some(&other.user) == user);
            Scope::Nodes(own.map(|(id, _)| *id).collect())
        }
        None => Scope::Nodes(vec![node]),
    }
}

fn pages(month: Month, (plan, limit): Told, scope: &Scope, rows: &[Relayed]) -> Vec<Response> {
    let whole = matches!(scope, Scope::Whole);
    let (mut nodes, mut days) = (BTreeMap::<NodeId, Traffic>::new(), BTreeMap::<Day, Traffic>::new());
    for row in rows {
        if matches!(scope, Scope::Nodes(own) if !own.contains(&row.node)) {
            continue;
        }
        *nodes.entry(row.node).or_default() += row.traffic;
        *days.entry(row.day).or_default() += row.traffic;
    }
    // In the whole network each byte was sent by one node and got by another; a part of it has
    // sent some and got others.
    let bytes = |traffic: Traffic| if whole { traffic.sent } else { traffic.sent + traffic.received };
    let used = nodes.values().copied().map(bytes).sum();
    let days: Vec<DayUsage> = days
        .into_iter()
        .map(|(day, traffic)| DayUsage { day: day.of_month(), bytes: bytes(traffic) })
        .collect();
    let nodes: Vec<NodeUsage> = nodes
        .into_iter()
        .map(|(node, Traffic { sent, received })| NodeUsage { node, sent, received })
        .collect();
    let chunks: Vec<&[NodeUsage]> =
        if nodes.is_empty() { vec![&[]] } else { nodes.chunks(USAGE_NODES_MAX).collect() };
    let last = chunks.len() - 1;
    let page = |(number, nodes): (usize, &[NodeUsage])| Response::Usage {
        month: month.number(),
        plan: plan.clone(),
        limit,
        used,
        whole,
        days: if number == 0 { days.clone() } else { Vec::new() },
        nodes: nodes.to_vec(),
        more: number < last,
    };
    chunks.into_iter().enumerate().map(page).collect()
}
