//! One network: its verified ledger, the entry on its way to the disk, what waits behind it, and who
//! wants to hear of the head.
//!
//! [`Network::judge`] says what is to be done with a draft by the ledger as it stands *on disk*. At most
//! one entry of a network is being stored; the next draft is judged after it, so a loser of a race is
//! told the head that really won. [`Network::take`] moves the ledger on once the entry is stored.

use std::collections::VecDeque;

use coconet::id::{Hash, InviteKey, NodeId, StaticKey};
use coconet::ledger::{
    Draft, Entry, Ledger, Op, Reject, Removal, RemoveNode, RemoveUser, Standing, State, Violation,
};
use coconet::wire::manager::{Response, failed};
use tokio::sync::watch;

use crate::limits::APPENDS_WAITING_MAX;

/// The number and hash of the newest entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) head: Hash,
}

/// A network, with `W` for what waits.
#[derive(Debug)]
pub(crate) struct Network<W> {
    ledger: Ledger,
    pushes: watch::Sender<Head>,
    pub(crate) storing: bool,
    waiting: VecDeque<W>,
}

/// What to do with a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Stamp it with this number and time, and store it.
    Stamp { seq: u64, time: u64 },
    /// It is the newest entry already: the answer got lost, and this is the second asking.
    Newest,
    /// Answer so.
    No(Response),
}

/// What an entry that was taken means for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) node: NodeId,
    pub(crate) key: StaticKey,
}

impl<W> Network<W> {
    pub(crate) fn new(ledger: Ledger) -> Self {
        let (pushes, _) = watch::channel(Head { seq: ledger.seq(), head: ledger.head() });
        Self { ledger, pushes, storing: false, waiting: VecDeque::new() }
    }

    pub(crate) fn state(&self) -> &State {
        self.ledger.state()
    }

    pub(crate) fn head(&self) -> Head {
        Head { seq: self.ledger.seq(), head: self.ledger.head() }
    }

    /// The head now and every time it moves.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Head> {
        self.pushes.subscribe()
    }

    /// Who the holder of `key` is, or the answer to give instead.
    pub(crate) fn member(&self, key: &StaticKey) -> Result<NodeId, Response> {
        match self.state().standing(key) {
            Standing::Member(node) => Ok(node),
            Standing::Removed(_) => Err(revoked()),
            Standing::Stranger => Err(not_a_member()),
        }
    }

    /// How the holder of `key` left, if it was removed.
    pub(crate) fn removal(&self, key: &StaticKey) -> Option<&Removal> {
        match self.state().standing(key) {
            Standing::Removed(node) => self.state().removal(node),
            Standing::Member(_) | Standing::Stranger => None,
        }
    }

    /// The head, for whoever has proved to hold `invite`. The holder of the secret may know what became
    /// of it; nobody else learns that it exists.
    pub(crate) fn head_for(&self, invite: &InviteKey, now: u64) -> Response {
        let Some(known) = self.state().invites().get(invite) else { return not_a_member() };
        if known.left == 0 {
            return rejected(&Violation::InviteUsed.into());
        }
        if self.time(now) >= known.invite.expires {
            return rejected(&Violation::InviteExpired.into());
        }
        let Head { seq, head } = self.head();
        Response::Head { seq, head, view: None }
    }

    /// What to do with a draft that the holder of `key` sent.
    pub(crate) fn judge(&self, key: &StaticKey, draft: &Draft, now: u64) -> Verdict {
        let time = self.time(now);
        let entitled = match self.state().standing(key) {
            Standing::Removed(_) => Err(revoked()),
            Standing::Member(node) if node == draft.header.author => Ok(()),
            Standing::Member(_) => Err(not_the_author()),
            Standing::Stranger => self.may_join(key, draft, time),
        };
        if let Err(answer) = entitled {
            return Verdict::No(answer);
        }
        let Head { seq, head } = self.head();
        if draft.hash() == head {
            return Verdict::Newest;
        }
        if draft.header.prev != head {
            return Verdict::No(Response::Conflict { seq, head });
        }
        match self.ledger.admit(draft, time) {
            Ok(()) => Verdict::Stamp { seq: seq + 1, time },
            Err(reject) => Verdict::No(rejected(&reject)),
        }
    }

    /// Whether a stranger's draft is a join of its own key by an invite it holds. Until that is certain,
    /// it must not learn whether this network is here.
    fn may_join(&self, key: &StaticKey, draft: &Draft, time: u64) -> Result<(), Response> {
        let op = draft.op();
        let Some(op @ Op::Join(_)) = op else { return Err(not_a_member()) };
        if !matches!(&op, Op::Join(join) if join.record.talk == *key) {
            return Err(not_a_member());
        }
        match self.state().validate(draft.header.author, time, &op) {
            Ok(()) => Ok(()),
            Err(Violation::InviteUnknown | Violation::Proof) => Err(not_a_member()),
            Err(violation) => Err(rejected(&violation.into())),
        }
    }

    /// Let `submission` wait for the entry being stored; it comes back when too many do.
    pub(crate) fn wait(&mut self, submission: W) -> Result<(), W> {
        if self.waiting.len() >= APPENDS_WAITING_MAX {
            return Err(submission);
        }
        self.waiting.push_back(submission);
        Ok(())
    }

    /// The next that waited.
    pub(crate) fn next_waiting(&mut self) -> Option<W> {
        self.waiting.pop_front()
    }

    /// Move on to an entry that was judged fit for this head and is on disk now, and tell everybody.
    pub(crate) fn take(&mut self, entry: &Entry) -> Result<Vec<Removed>, Reject> {
        let removed = self.removed_by(entry);
        self.ledger.append(entry)?;
        self.pushes.send_replace(self.head());
        Ok(removed)
    }

    fn removed_by(&self, entry: &Entry) -> Vec<Removed> {
        let op = entry.draft.op();
        let nodes = self.state().nodes().iter();
        let gone = nodes.filter(|(id, node)| match &op {
            Some(Op::RemoveNode(RemoveNode { node })) => *id == node,
            Some(Op::RemoveUser(RemoveUser { user })) => node.user == *user,
            Some(_) | None => false,
        });
        gone.map(|(id, node)| Removed { node: *id, key: node.record.talk }).collect()
    }

    /// Never earlier than the newest stamp, whatever this machine's clock says.
    fn time(&self, now: u64) -> u64 {
        now.max(self.ledger.time())
    }
}

/// The same for a network that is not here and for one that the asker is not in.
pub(crate) fn not_a_member() -> Response {
    refuse(failed::NOT_A_MEMBER, "no such network, or not a member of it")
}

pub(crate) fn revoked() -> Response {
    refuse(failed::REVOKED, "this node was removed from the network")
}

fn not_the_author() -> Response {
    refuse("not-allowed", "a node submits what it has authored itself")
}

pub(crate) fn rejected(reject: &Reject) -> Response {
    refuse(reject.code(), &reject.to_string())
}

pub(crate) fn refuse(code: &str, message: &str) -> Response {
    Response::Failed { code: code.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::id::NetworkId;
    use coconet::key::{InviteSecret, NodeKeys, SEED_LEN};
    use coconet::ledger::{BLIND_LEN, Blind, Genesis, Invite, NetworkKind, Purpose, stamp};
    use coconet::manager_addr::ManagerAddr;

    use super::*;

    const FOUNDED: u64 = 1_000;
    const INVITED: u64 = 5_000;
    const EXPIRES: u64 = 5_500;

    const BLIND: Blind = Blind([0xb1; BLIND_LEN]);

    fn keys(seed: u8) -> NodeKeys {
        NodeKeys::from_seed(&[seed; SEED_LEN])
    }

    /// Founded by the keys of seed 1, with an invite by the secret of seed 9.
    fn network() -> Network<u32> {
        let (manager, owner) = (keys(200), keys(1));
        let (stamp_key, talk) = (manager.stamp_key(), manager.static_key());
        let address = ManagerAddr { stamp: stamp_key, talk, host: "h".parse().unwrap(), port: 1, tls: None };
        let genesis = Genesis {
            name: "home".parse().unwrap(),
            kind: NetworkKind::User,
            owner: owner.record(),
            user: "alice".parse().unwrap(),
            node_name: "laptop".parse().unwrap(),
            managers: vec![address],
            salt: [0; 16],
        };
        let draft = Draft::new(&owner, NetworkId(Hash::ZERO), Hash::ZERO, &Op::Genesis(genesis), BLIND);
        let mut network = Network::new(Ledger::begin(&stamp(&manager, draft, 0, FOUNDED)).unwrap());
        let invite = Invite {
            key: secret().key(),
            purpose: Purpose::SelfApp,
            uses: 1,
            expires: EXPIRES,
            node_name: None,
            only: None,
        };
        let draft = network.ledger.draft(&owner, &Op::Invite(invite), BLIND);
        network.take(&stamp(&manager, draft, 1, INVITED)).unwrap();
        network
    }

    fn secret() -> InviteSecret {
        InviteSecret::from_seed(&[9; 32])
    }

    fn code(answer: &Response) -> &str {
        if let Response::Failed { code, .. } = answer { code } else { "" }
    }

    #[test]
    fn a_clock_that_went_back_never_makes_a_stamp_older_than_the_newest() {
        let network = network();
        let leave = Op::Unknown { code: 40, critical: false, payload: Vec::new() };
        let draft = network.ledger.draft(&keys(1), &leave, BLIND);
        let key = keys(1).static_key();
        for (now, time) in [(0, INVITED), (INVITED - 1, INVITED), (INVITED + 7, INVITED + 7)] {
            assert_eq!(network.judge(&key, &draft, now), Verdict::Stamp { seq: 2, time });
        }
    }

    #[test]
    fn an_invite_that_has_expired_does_not_live_again_when_the_clock_goes_back() {
        let mut network = network();
        assert!(matches!(network.head_for(&secret().key(), 0), Response::Head { seq: 1, .. }));
        assert_eq!(code(&network.head_for(&secret().key(), EXPIRES)), "invite-expired");
        let later = Op::Unknown { code: 40, critical: false, payload: Vec::new() };
        let draft = network.ledger.draft(&keys(1), &later, BLIND);
        network.take(&stamp(&keys(200), draft, 2, EXPIRES)).unwrap();
        assert_eq!(code(&network.head_for(&secret().key(), 0)), "invite-expired");
        assert_eq!(code(&network.head_for(&InviteSecret::from_seed(&[8; 32]).key(), 0)), "not-a-member");
    }

    #[test]
    fn an_entry_that_does_not_follow_leaves_the_network_as_it_was() {
        let mut network = network();
        let before = network.head();
        let draft = Draft::new(
            &keys(1),
            network.state().network(),
            Hash::ZERO,
            &Op::RemoveNode(RemoveNode { node: keys(1).id() }),
            BLIND,
        );
        let mut pushes = network.subscribe();
        assert_eq!(network.take(&stamp(&keys(200), draft, 2, INVITED)), Err(Reject::Parent));
        assert_eq!(network.head(), before);
        assert!(!pushes.has_changed().unwrap() && *pushes.borrow_and_update() == before);
    }

    #[test]
    fn so_many_wait_and_the_next_comes_back() {
        let mut network = network();
        for number in 0..APPENDS_WAITING_MAX {
            assert_eq!(network.wait(u32::try_from(number).unwrap()), Ok(()));
        }
        assert_eq!(network.wait(999), Err(999));
        assert_eq!(network.next_waiting(), Some(0));
    }
}
