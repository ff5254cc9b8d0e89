//! A network on paper: one manager, one ledger and everybody's keys, by name.
//!
//! Each sentence of a test is one call: `w.invites("laptop", device())`, `w.joins("cam", &invite)`. A call
//! drafts an op on the head, lets the manager stamp it and appends the entry. On the way it holds three
//! things that must be true of every entry, whatever the test is about:
//!
//! - what [`Ledger::admit`] says of the draft, [`Ledger::append`] says of the entry;
//! - a refused entry leaves the ledger as it was;
//! - the entry's bytes decode to the entry, and a replica that reads the bytes has the same ledger.

#![allow(dead_code, reason = "each test program uses its part of it")]

use std::collections::BTreeMap;

use coconet::grant::Capabilities;
use coconet::id::{Hash, NetworkId, NodeId};
use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys, SEED_LEN};
use coconet::ledger::{
    Access, BLIND_LEN, Blind, Checkpoint, Draft, Entry, Genesis, Grant, Invite, Ledger, NetworkKind, Op,
    Publish, Purpose, Reject, RemoveNode, RemoveUser, Rename, Renamed, RevokeGrant, RevokeInvite,
    SetManagers, SetRole, Withdraw, stamp, view,
};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::resource::{Attributes, Kind};
use coconet::role::Role;

/// When the network was founded.
pub(crate) const START: u64 = 1_800_000_000_000;

/// The blind of a draft that is made outside of a [`World`].
pub(crate) const BLIND: Blind = Blind([0xb1; BLIND_LEN]);

/// A day, in the ledger's milliseconds.
pub(crate) const DAY: u64 = 24 * 3600 * 1000;

/// A network under test. Founded by alice from her node `laptop`.
pub(crate) struct World {
    /// Stamps.
    pub(crate) manager: NodeKeys,
    /// What everybody agrees on.
    pub(crate) ledger: Ledger,
    /// How it came to that.
    pub(crate) entries: Vec<Entry>,
    /// The manager's clock.
    pub(crate) now: u64,
    keys: BTreeMap<&'static str, NodeKeys>,
    seeds: u8,
    invites: u16,
    blinds: u64,
}

/// A device that may publish.
pub(crate) fn device() -> Purpose {
    Purpose::Device { publish: true }
}

/// A device that may not.
pub(crate) fn mute_device() -> Purpose {
    Purpose::Device { publish: false }
}

/// The inviter's next app.
pub(crate) fn own_app() -> Purpose {
    Purpose::SelfApp
}

/// An app of a person who is an admin.
pub(crate) fn admin(user: &str) -> Purpose {
    Purpose::User { name: name(user), role: Role::Admin }
}

/// An app of a person who is a guest.
pub(crate) fn guest(user: &str) -> Purpose {
    Purpose::User { name: name(user), role: Role::Guest }
}

/// A name that is known to be one.
pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// What a grant allows.
pub(crate) fn can(words: &[&str]) -> Capabilities {
    Capabilities::new(words.iter().map(|word| (*word).to_owned()).collect()).unwrap()
}

/// Keys that depend on `seed` alone.
pub(crate) fn keys(seed: u8) -> NodeKeys {
    NodeKeys::from_seed(&[seed; SEED_LEN])
}

/// The address of the manager that has `keys`.
pub(crate) fn manager_addr(keys: &NodeKeys) -> ManagerAddr {
    ManagerAddr {
        stamp: keys.stamp_key(),
        talk: keys.static_key(),
        host: "192.0.2.1".parse().unwrap(),
        port: 4433,
        tls: None,
    }
}

/// A genesis by `owner`, stamped by `manager`.
pub(crate) fn genesis(owner: &NodeKeys, manager: &NodeKeys) -> Genesis {
    Genesis {
        name: name("home"),
        kind: NetworkKind::User,
        owner: owner.record(),
        user: name("alice"),
        node_name: name("laptop"),
        managers: vec![manager_addr(manager)],
        salt: [7; 16],
    }
}

/// The draft of a genesis: it has no network and no parent yet.
pub(crate) fn genesis_draft(owner: &NodeKeys, genesis: Genesis) -> Draft {
    Draft::new(owner, NetworkId(Hash::ZERO), Hash::ZERO, &Op::Genesis(genesis), BLIND)
}

/// `ok`, or the word that stands for the refusal on the wire.
pub(crate) fn word<T>(result: &Result<T, Reject>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(reject) => reject.code(),
    }
}

/// A replica that was at `before` reads the bytes of `entry` and is at `after`.
fn follow(mut before: Ledger, entry: &Entry, after: &Ledger) {
    let read = Entry::from_bytes(&entry.to_bytes()).expect("a stamped entry must decode");
    assert_eq!(before.append(&read), Ok(()));
    assert_eq!((read, &before), (entry.clone(), after));
}

/// The ledger that a guest makes of the entries it gets.
pub(crate) fn read(entries: &[Entry]) -> Result<Ledger, Reject> {
    let read = entries.iter().try_fold(None, |ledger, entry| Ledger::follow_viewed(ledger, entry).map(Some));
    read.map(|ledger| ledger.expect("a ledger has a genesis"))
}

impl World {
    /// `G`: alice is the owner, `laptop` her node.
    pub(crate) fn founded() -> Self {
        let (manager, laptop) = (keys(200), keys(1));
        let entry = stamp(&manager, genesis_draft(&laptop, genesis(&laptop, &manager)), 0, START);
        let ledger = Ledger::begin(&entry).unwrap();
        let keys = BTreeMap::from([("laptop", laptop)]);
        Self { manager, ledger, entries: vec![entry], now: START, keys, seeds: 1, invites: 0, blinds: 0 }
    }

    /// A network with one of each: alice's `laptop` (owner) and camera `cam`, `bob-pc` of the admin
    /// bob, `eve-pc` of the guest eve.
    ///
    /// `G -> I -> J(cam) -> I -> J(bob-pc) -> I -> J(eve-pc)`
    pub(crate) fn peopled() -> Self {
        let mut w = Self::founded();
        w.brings("laptop", device(), "cam");
        w.brings("laptop", admin("bob"), "bob-pc");
        w.brings("laptop", guest("eve"), "eve-pc");
        w
    }

    /// The keys of the node called so, made at first use.
    pub(crate) fn keys(&mut self, node: &'static str) -> &NodeKeys {
        let seeds = &mut self.seeds;
        self.keys.entry(node).or_insert_with(|| {
            *seeds += 1;
            keys(*seeds)
        })
    }

    /// Another blind for each draft.
    fn blind(&mut self) -> Blind {
        self.blinds += 1;
        let mut blind = BLIND;
        blind.0[..8].copy_from_slice(&self.blinds.to_be_bytes());
        blind
    }

    /// The id of the node called so.
    pub(crate) fn id(&mut self, node: &'static str) -> NodeId {
        self.keys(node).id()
    }

    /// Time passes.
    pub(crate) fn later(&mut self, time: u64) {
        self.now += time;
    }

    /// `node` writes `op` into the ledger.
    pub(crate) fn says(&mut self, node: &'static str, op: &Op) -> Result<(), Reject> {
        let (network, head) = (self.ledger.state().network(), self.ledger.head());
        let blind = self.blind();
        let draft = Draft::new(self.keys(node), network, head, op, blind);
        self.offers(draft)
    }

    /// Somebody hands `draft` to the manager.
    pub(crate) fn offers(&mut self, draft: Draft) -> Result<(), Reject> {
        let admitted = self.ledger.admit(&draft, self.now);
        let entry = stamp(&self.manager, draft, self.ledger.seq() + 1, self.now);
        let appended = self.takes(&entry);
        assert_eq!(admitted, appended, "the manager and the members must agree");
        appended
    }

    /// The manager has stamped `entry`, rightly or not; the members see it.
    pub(crate) fn takes(&mut self, entry: &Entry) -> Result<(), Reject> {
        let before = self.ledger.clone();
        let appended = self.ledger.append(entry);
        if appended.is_err() {
            assert_eq!(self.ledger, before, "a refused entry must change nothing");
            return appended;
        }
        self.entries.push(entry.clone());
        follow(before, entry, &self.ledger);
        appended
    }

    /// `I`: `node` invites once, for a week.
    pub(crate) fn invites(&mut self, node: &'static str, purpose: Purpose) -> Result<Invitation, Reject> {
        self.invites_with(node, purpose, |_| {})
    }

    /// `I`, with what `change` makes of it.
    pub(crate) fn invites_with(
        &mut self,
        node: &'static str,
        purpose: Purpose,
        change: impl FnOnce(&mut Invite),
    ) -> Result<Invitation, Reject> {
        self.invites += 1;
        let mut seed = [0x1d; 32];
        seed[..2].copy_from_slice(&self.invites.to_be_bytes());
        let secret = InviteSecret::from_seed(&seed);
        let expires = self.now + 7 * DAY;
        let mut invite = Invite { key: secret.key(), purpose, uses: 1, expires, node_name: None, only: None };
        change(&mut invite);
        let expires = invite.expires;
        self.says(node, &Op::Invite(invite))?;
        let (network, managers) = (self.ledger.state().network(), vec![manager_addr(&self.manager)]);
        Ok(Invitation { network, managers, secret, expires })
    }

    /// `J`: `node` joins under its own name.
    pub(crate) fn joins(&mut self, node: &'static str, invite: &Invitation) -> Result<(), Reject> {
        self.joins_as(node, node, invite)
    }

    /// `J`: `node` joins and asks to be called `called`.
    pub(crate) fn joins_as(
        &mut self,
        node: &'static str,
        called: &str,
        invite: &Invitation,
    ) -> Result<(), Reject> {
        let draft = self.asks(node, called, invite);
        self.offers(draft)
    }

    /// The draft by which `node` would join as `called`.
    pub(crate) fn asks(&mut self, node: &'static str, called: &str, invite: &Invitation) -> Draft {
        let (head, blind) = (self.ledger.head(), self.blind());
        invite.join(self.keys(node), head, &name(called), blind)
    }

    /// `I -> J`: `inviter` invites and `node` joins.
    pub(crate) fn brings(&mut self, inviter: &'static str, purpose: Purpose, node: &'static str) {
        let invite = self.invites(inviter, purpose).unwrap();
        self.joins(node, &invite).unwrap();
    }

    /// `P`: `node` offers an RTSP resource.
    pub(crate) fn publishes(&mut self, node: &'static str, resource: &str) -> Result<(), Reject> {
        let op = Publish { name: name(resource), kind: Kind::Rtsp, attributes: Attributes::default() };
        self.says(node, &Op::Publish(op))
    }

    /// `W`: `node` takes a resource off the list.
    pub(crate) fn withdraws(&mut self, node: &'static str, resource: &str) -> Result<(), Reject> {
        self.says(node, &Op::Withdraw(Withdraw { name: name(resource) }))
    }

    /// `R`: `node` removes `other`.
    pub(crate) fn removes(&mut self, node: &'static str, other: &'static str) -> Result<(), Reject> {
        let other = self.id(other);
        self.says(node, &Op::RemoveNode(RemoveNode { node: other }))
    }

    /// `I-`: `node` revokes an invite.
    pub(crate) fn uninvites(&mut self, node: &'static str, invite: &Invitation) -> Result<(), Reject> {
        self.says(node, &Op::RevokeInvite(RevokeInvite { key: invite.secret.key() }))
    }

    /// `S`: `node` makes a person something else.
    pub(crate) fn makes(&mut self, node: &'static str, user: &str, role: Role) -> Result<(), Reject> {
        self.says(node, &Op::SetRole(SetRole { user: name(user), role }))
    }

    /// `U`: `node` removes a person.
    pub(crate) fn expels(&mut self, node: &'static str, user: &str) -> Result<(), Reject> {
        self.says(node, &Op::RemoveUser(RemoveUser { user: name(user) }))
    }

    /// `N`: `node` renames the network.
    pub(crate) fn renames_network(&mut self, node: &'static str, to: &str) -> Result<(), Reject> {
        self.says(node, &Op::Rename(Rename { what: Renamed::Network, to: name(to) }))
    }

    /// `N`: `node` renames a person.
    pub(crate) fn renames(&mut self, node: &'static str, user: &str, to: &str) -> Result<(), Reject> {
        self.says(node, &Op::Rename(Rename { what: Renamed::User(name(user)), to: name(to) }))
    }

    /// `N`: `node` renames the node `other`.
    pub(crate) fn renames_node(
        &mut self,
        node: &'static str,
        other: &'static str,
        to: &str,
    ) -> Result<(), Reject> {
        let other = self.id(other);
        self.says(node, &Op::Rename(Rename { what: Renamed::Node(other), to: name(to) }))
    }

    /// `+`: `node` grants a person `words` of a resource, at all hours and for ever.
    pub(crate) fn grants(
        &mut self,
        node: &'static str,
        user: &str,
        resource: &str,
        words: &[&str],
    ) -> Result<(), Reject> {
        self.grants_with(node, user, resource, |grant| grant.can = can(words))
    }

    /// `+`, playing alone, with what `change` makes of it.
    pub(crate) fn grants_with(
        &mut self,
        node: &'static str,
        user: &str,
        resource: &str,
        change: impl FnOnce(&mut Grant),
    ) -> Result<(), Reject> {
        let (user, resource) = (name(user), name(resource));
        let mut grant = Grant { user, resource, can: can(&["play"]), when: None, until: None };
        change(&mut grant);
        self.says(node, &Op::Grant(grant))
    }

    /// `-`: `node` takes a grant back.
    pub(crate) fn revokes(&mut self, node: &'static str, user: &str, resource: &str) -> Result<(), Reject> {
        self.says(node, &Op::RevokeGrant(RevokeGrant { user: name(user), resource: name(resource) }))
    }

    /// `M`: `node` says who may stamp from now on.
    pub(crate) fn appoints(&mut self, node: &'static str, managers: &[&NodeKeys]) -> Result<(), Reject> {
        let managers = managers.iter().map(|keys| manager_addr(keys)).collect();
        self.says(node, &Op::SetManagers(SetManagers { managers }))
    }

    /// `C`: `node` vouches for the state as it is.
    pub(crate) fn vouches(&mut self, node: &'static str) -> Result<(), Reject> {
        let state = self.ledger.state().digest();
        self.says(node, &Op::Checkpoint(Checkpoint { state }))
    }

    /// Whether `node` may open `resource`, and until when.
    pub(crate) fn access(&mut self, node: &'static str, resource: &str) -> Access {
        let id = self.id(node);
        self.ledger.state().access(id, &name(resource), self.now)
    }

    /// Whether `node` may open `resource` now.
    pub(crate) fn may_open(&mut self, node: &'static str, resource: &str) -> bool {
        self.access(node, resource) != Access::Denied
    }

    /// The entries as the guest `user` gets them.
    pub(crate) fn seen_by(&self, user: &str) -> Vec<Entry> {
        let mut entries = self.entries.clone();
        for (entry, seen) in entries.iter_mut().zip(view::views(&self.entries, &name(user))) {
            entry.draft.body = entry.draft.body.take().filter(|_| seen);
        }
        entries
    }

    /// The entries as a guest gets them that the last of them removed, and who was called `user` until then.
    pub(crate) fn last_seen_by(&self, user: &str) -> Vec<Entry> {
        let mut entries = self.entries.clone();
        for (entry, seen) in entries.iter_mut().zip(view::last_views(&self.entries, &name(user))) {
            entry.draft.body = entry.draft.body.take().filter(|_| seen);
        }
        entries
    }

    /// What the guest `user` makes of them.
    pub(crate) fn read_by(&self, user: &str) -> Result<Ledger, Reject> {
        read(&self.seen_by(user))
    }

    /// The names of the people.
    pub(crate) fn people(&self) -> Vec<&str> {
        self.ledger.state().users().keys().map(Name::as_str).collect()
    }

    /// The names of the nodes.
    pub(crate) fn nodes(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.ledger.state().nodes().values().map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The role of a person.
    pub(crate) fn role(&self, user: &str) -> Option<Role> {
        self.ledger.state().users().get(user).map(|user| user.role)
    }
}
