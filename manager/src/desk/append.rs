//! Appending: judge a draft, have it stored, answer, and go on with what waits.

use coconet::id::{Hash, NetworkId};
use coconet::key::NodeKeys;
use coconet::ledger::{Draft, Entry, Ledger, Op, State, stamp};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::wire::manager::{Response, failed};
use tokio::sync::oneshot;

use super::{Answer, Desk, Done, Peer, could_not_store};
use crate::config::Plan;
use crate::network::{Network, Verdict, not_a_member, refuse, rejected};
use crate::now_ms;
use crate::presence::Presence;
use crate::storage::{StorageError, StoredEntry, Write};

/// A draft on its way.
pub(super) struct Submission {
    pub(super) peer: Peer,
    pub(super) draft: Draft,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// An entry that the storage has, or not.
pub(super) struct Written {
    network: NetworkId,
    /// The ledger that a genesis begins.
    founded: Option<Ledger>,
    entry: Entry,
    peer: Peer,
    reply: oneshot::Sender<Answer>,
    outcome: Result<(), StorageError>,
}

impl<P: Presence> Desk<P> {
    pub(super) fn submit(&mut self, submission: Submission) {
        let id = submission.draft.header.network;
        if id == NetworkId(Hash::ZERO) {
            return self.found(submission);
        }
        let Some(network) = self.networks.get_mut(&id) else {
            return self.refuse(submission, not_a_member());
        };
        if !network.storing {
            return self.judge(id, submission);
        }
        if let Err(submission) = network.wait(submission) {
            self.refuse(submission, refuse(failed::BUSY, "too many entries wait for this network"));
        }
    }

    /// Judge `submission` by a network that stores nothing now.
    fn judge(&mut self, id: NetworkId, submission: Submission) {
        let Some(network) = self.networks.get_mut(&id) else {
            return self.refuse(submission, not_a_member());
        };
        let verdict = match network.judge(&submission.peer.key, &submission.draft, now_ms()) {
            Verdict::Stamp { .. } if !names(network.state().managers(), &self.keys) => {
                Verdict::No(refuse("not-allowed", "the network has other managers now"))
            }
            stamp @ Verdict::Stamp { .. } => {
                over_plan(self.plan.as_ref(), network.state(), &submission.draft).map_or(stamp, Verdict::No)
            }
            other => other,
        };
        match verdict {
            Verdict::Stamp { seq, time } => {
                network.storing = true;
                let Submission { peer, draft, reply } = submission;
                let entry = stamp(&self.keys, draft, seq, time);
                self.store(id, None, entry, peer, reply);
            }
            Verdict::Newest => {
                let seq = network.head().seq;
                let Submission { peer, reply, .. } = submission;
                self.answer(&peer, reply, Answer::Newest { network: id, seq });
            }
            Verdict::No(answer) => self.refuse(submission, answer),
        }
    }

    fn found(&mut self, submission: Submission) {
        let id = NetworkId(submission.draft.hash());
        if self.networks.contains_key(&id) {
            // The founder asks again because the answer got lost.
            return self.judge(id, submission);
        }
        let ledger = match self.foundable(&submission) {
            Ok(ledger) => ledger,
            Err(answer) => return self.refuse(submission, answer),
        };
        self.founding.insert(id);
        let Submission { peer, draft, reply } = submission;
        let entry = stamp(&self.keys, draft, 0, now_ms());
        self.store(id, Some(ledger), entry, peer, reply);
    }

    fn foundable(&self, submission: &Submission) -> Result<Ledger, Response> {
        let Submission { peer, draft, .. } = submission;
        let ledger = Ledger::founded_by(draft).map_err(|reject| rejected(&reject))?;
        if ledger.state().standing(&peer.key) != coconet::ledger::Standing::Member(draft.header.author) {
            return Err(refuse("not-allowed", "a network is founded by its owner's own node"));
        }
        if !names(ledger.state().managers(), &self.keys) {
            return Err(refuse("not-allowed", "the network does not name this manager"));
        }
        if self.founding.contains(&NetworkId(ledger.head())) {
            return Err(refuse(failed::BUSY, "the network is being founded already"));
        }
        if self.networks.len() + self.founding.len() >= self.limits.networks {
            return Err(refuse(failed::BUSY, "this manager takes no more networks"));
        }
        Ok(ledger)
    }

    fn store(
        &mut self,
        network: NetworkId,
        founded: Option<Ledger>,
        entry: Entry,
        peer: Peer,
        reply: oneshot::Sender<Answer>,
    ) {
        let storage = self.storage.clone();
        self.work.spawn(async move {
            let write = StoredEntry { network, seq: entry.stamp.seq, bytes: entry.to_bytes() };
            let outcome = storage.write(Write::Entry(write)).await;
            Done::Entry(Box::new(Written { network, founded, entry, peer, reply, outcome }))
        });
    }

    /// The storage has done it or not: answer, tell the others, and go on with what waits.
    pub(super) fn stored(&mut self, written: Written) {
        let Written { network: id, founded, entry, peer, reply, outcome } = written;
        self.founding.remove(&id);
        self.storage_failing = outcome.is_err();
        let answer = match outcome {
            Ok(()) => self.take(id, founded, &entry).map(|()| Response::Stamped(Box::new(entry))),
            Err(error) => {
                tracing::error!(network = %id, %error, "an entry could not be stored");
                Err(could_not_store(&error))
            }
        };
        let answer = answer.unwrap_or_else(|refusal| refusal);
        self.answer(&peer, reply, Answer::Messages(vec![answer]));
        let Some(network) = self.networks.get_mut(&id) else { return };
        network.storing = false;
        while let Some(network) = self.networks.get_mut(&id)
            && !network.storing
            && let Some(next) = network.next_waiting()
        {
            self.judge(id, next);
        }
    }

    fn take(&mut self, id: NetworkId, founded: Option<Ledger>, entry: &Entry) -> Result<(), Response> {
        let seq = entry.stamp.seq;
        let author = entry.draft.header.author;
        let removed = if founded.is_some() {
            Ledger::begin(entry).map(|ledger| {
                self.networks.insert(id, Network::new(ledger));
                Vec::new()
            })
        } else {
            self.networks.get_mut(&id).map_or(Ok(Vec::new()), |network| network.take(entry))
        };
        match removed {
            Ok(removed) => {
                let op = entry.draft.op();
                let op = op.map(|op| coconet::name::shown(&op.to_string())).unwrap_or_default();
                tracing::info!(network = %id, peer = %author, seq, op, "stamped");
                removed.into_iter().for_each(|removed| self.revoke(id, removed));
                Ok(())
            }
            // Judged fit for this head, and nothing came between: if this is ever seen, the entry is on
            // disk and the ledger in memory is behind; the next append fails on its number.
            Err(reject) => {
                tracing::error!(network = %id, seq, %reject, "a stored entry does not fit");
                Err(rejected(&reject))
            }
        }
    }

    fn refuse(&self, submission: Submission, answer: Response) {
        let Submission { peer, reply, .. } = submission;
        self.answer(&peer, reply, Answer::Messages(vec![answer]));
    }
}

/// Whether `managers` has the holder of `keys` among them.
fn names(managers: &[ManagerAddr], keys: &NodeKeys) -> bool {
    let own = |manager: &ManagerAddr| manager.stamp == keys.stamp_key() && manager.talk == keys.static_key();
    managers.iter().any(own)
}

/// The refusal of a join that the plan has no room for.
fn over_plan(plan: Option<&(Name, Plan)>, state: &State, draft: &Draft) -> Option<Response> {
    let (name, plan) = plan?;
    let limit = plan.nodes_per_network.filter(|limit| state.nodes().len() >= *limit)?;
    let op = draft.op();
    let message = format!("the plan {name} of this manager allows {limit} nodes in a network");
    matches!(op, Some(Op::Join(_))).then(|| refuse("limit", &message))
}
