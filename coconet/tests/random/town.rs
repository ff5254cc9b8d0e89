//! A real ledger beside a [`Model`] of it, which must agree at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use coconet::id::{InviteKey, NodeId};
use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys};
use coconet::ledger::{
    Access, Blind, Checkpoint, Draft, Entry, Grant, Invite, Ledger, Op, Publish, Purpose, RemoveNode,
    RemoveUser, Rename, Renamed, RevokeGrant, RevokeInvite, SetManagers, SetRole, State, Withdraw, stamp,
};
use coconet::resource::Attributes;
use coconet::role;

use crate::model::{Key, Kind, Model};
use crate::steps::{As, CAST, HOUR, RESOURCES, Role, Step};
use crate::world::{self, BLIND, START, can, genesis, genesis_draft, manager_addr, name};

/// Everybody's keys.
static KEYS: LazyLock<BTreeMap<Key, NodeKeys>> =
    LazyLock::new(|| CAST.into_iter().zip(1..).map(|(key, seed)| (key, world::keys(seed))).collect());

/// Who may come to stamp.
static MANAGERS: LazyLock<[NodeKeys; 3]> = LazyLock::new(|| [200, 201, 202].map(world::keys));

/// What the invites are known by, in the order they are made.
static INVITES: LazyLock<Vec<InviteKey>> =
    LazyLock::new(|| (0..99).map(|number| secret(number).key()).collect());

/// The network in which the steps begin: an owner, a camera with a door, an admin, two guests one of whom
/// may play the door, and an invite of each kind.
static BASE: LazyLock<Town> = LazyLock::new(Town::new);

/// A ledger and what should be in it.
#[derive(Debug, Clone)]
pub(crate) struct Town {
    pub(crate) ledger: Ledger,
    pub(crate) entries: Vec<Entry>,
    pub(crate) model: Model,
}

fn secret(number: usize) -> InviteSecret {
    let mut seed = [0x2e; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    InviteSecret::from_seed(&seed)
}

fn real_role(role: Role) -> role::Role {
    match role {
        Role::Owner => role::Role::Owner,
        Role::Admin => role::Role::Admin,
        Role::Guest => role::Role::Guest,
    }
}

/// The id of a node of the cast.
pub(crate) fn id(key: Key) -> NodeId {
    KEYS[key].id()
}

impl Town {
    /// The network in which the steps begin.
    pub(crate) fn base() -> Self {
        BASE.clone()
    }

    fn new() -> Self {
        let draft = genesis_draft(&KEYS["laptop"], genesis(&KEYS["laptop"], &MANAGERS[0]));
        let entry = stamp(&MANAGERS[0], draft, 0, START);
        let ledger = Ledger::begin(&entry).unwrap();
        let mut town = Self { ledger, entries: vec![entry], model: Model::founded(START) };
        let invites = [
            (As::Device(true), "camera"),
            (As::Person("bertha", Role::Admin), "tablet"),
            (As::Person("carlos", Role::Guest), "pocket"),
            (As::Person("dmitri", Role::Guest), "station"),
        ];
        for (what, who) in invites {
            town.brings(what, who);
        }
        let (by, hours, named) = ("laptop", 500, None);
        for what in [As::OwnApp, As::Paper, As::Device(false), As::Person("emmett", Role::Guest)] {
            assert!(town.tries(&Step::Invite { by, what, uses: 2, hours, named }));
        }
        assert!(town.tries(&Step::Publish { by: "camera", what: "door", kind: "rtsp" }));
        let (words, days) = (vec!["play"], None);
        let step = Step::Grant { by, user: "carlos", what: "door", words, days, mornings: false };
        assert!(town.tries(&step));
        town
    }

    fn brings(&mut self, what: As, who: Key) {
        assert!(self.tries(&Step::Invite { by: "laptop", what, uses: 1, hours: 1, named: None }));
        assert!(self.tries(&Step::Join { who, called: who, which: 0 }));
    }

    fn invitation(&self, number: usize) -> Invitation {
        let network = self.ledger.state().network();
        Invitation { network, managers: Vec::new(), secret: secret(number), expires: 0 }
    }

    /// Somebody tries something. The ledger takes it exactly when the model allows it, and both are the
    /// same afterwards.
    pub(crate) fn tries(&mut self, step: &Step) -> bool {
        let allowed = self.model.allows(step);
        if let Some(draft) = self.draft(step) {
            let manager = match step {
                Step::Note { manager, .. } => *manager,
                _ => self.model.managers[0],
            };
            let admitted = self.ledger.admit(&draft, self.model.now);
            if allowed {
                assert_eq!(admitted, Ok(()), "{step:?}");
                self.append(draft, manager);
            } else if admitted.is_ok() {
                assert!(matches!(step, Step::Note { .. }), "{step:?} was admitted");
                let (next, before) = (self.ledger.seq() + 1, self.ledger.clone());
                let entry = stamp(&MANAGERS[manager], draft, next, self.model.now);
                assert!(self.ledger.append(&entry).is_err(), "{step:?} was taken");
                assert_eq!(self.ledger, before);
            }
        } else {
            assert!(!allowed || matches!(step, Step::Wait { .. }), "{step:?} says nothing");
        }
        if allowed {
            self.model.does(step);
            self.agrees();
        }
        allowed
    }

    fn append(&mut self, draft: Draft, manager: usize) {
        let entry = stamp(&MANAGERS[manager], draft, self.ledger.seq() + 1, self.model.now);
        assert_eq!(self.ledger.append(&entry), Ok(()));
        self.entries.push(entry);
    }

    fn draft(&self, step: &Step) -> Option<Draft> {
        if let Step::Join { who, called, .. } = step {
            let (number, _) = step.invite(&self.model.invites)?;
            return Some(self.invitation(number).join(
                &KEYS[who],
                self.ledger.head(),
                &name(called),
                self.blind(),
            ));
        }
        let (by, op) = self.op(step)?;
        Some(self.ledger.draft(&KEYS[by], &op, self.blind()))
    }

    /// Another blind for each entry.
    fn blind(&self) -> Blind {
        let mut blind = BLIND;
        blind.0[..8].copy_from_slice(&self.ledger.seq().to_be_bytes());
        blind
    }

    fn op(&self, step: &Step) -> Option<(Key, Op)> {
        Some(match step {
            Step::Wait { .. } | Step::Join { .. } => return None,
            Step::Invite { by, what, uses, hours, named } => {
                let purpose = match what {
                    As::Device(publish) => Purpose::Device { publish: *publish },
                    As::OwnApp => Purpose::SelfApp,
                    As::Paper => Purpose::Recovery,
                    As::Person(user, role) => Purpose::User { name: name(user), role: real_role(*role) },
                };
                let (key, expires) = (INVITES[self.model.invites.len()], self.model.now + hours * HOUR);
                let node_name = named.map(name);
                (by, Op::Invite(Invite { key, purpose, uses: *uses, expires, node_name, only: None }))
            }
            Step::Uninvite { by, .. } => {
                let (number, _) = step.invite(&self.model.invites)?;
                (by, Op::RevokeInvite(RevokeInvite { key: INVITES[number] }))
            }
            Step::RemoveNode { by, whom } => (by, Op::RemoveNode(RemoveNode { node: id(whom) })),
            Step::SetRole { by, user, role } => {
                (by, Op::SetRole(SetRole { user: name(user), role: real_role(*role) }))
            }
            Step::RemoveUser { by, user } => (by, Op::RemoveUser(RemoveUser { user: name(user) })),
            Step::RenameNetwork { by, to } => (by, rename(Renamed::Network, to)),
            Step::RenameUser { by, user, to } => (by, rename(Renamed::User(name(user)), to)),
            Step::RenameNode { by, whom, to } => (by, rename(Renamed::Node(id(whom)), to)),
            Step::Publish { by, what, kind } => {
                let (kind, attributes) = (kind.parse().unwrap(), Attributes::default());
                (by, Op::Publish(Publish { name: name(what), kind, attributes }))
            }
            Step::Withdraw { by, what } => (by, Op::Withdraw(Withdraw { name: name(what) })),
            Step::Grant { by, user, what, words, days, mornings } => {
                let when = mornings.then(|| "daily 08:00-12:00 UTC".parse().unwrap());
                let until = days.map(|days| self.model.now + days * 24 * HOUR);
                (
                    by,
                    Op::Grant(Grant { user: name(user), resource: name(what), can: can(words), when, until }),
                )
            }
            Step::Revoke { by, user, what } => {
                (by, Op::RevokeGrant(RevokeGrant { user: name(user), resource: name(what) }))
            }
            Step::Managers { by, which } => {
                let managers = which.iter().map(|number| manager_addr(&MANAGERS[*number])).collect();
                (by, Op::SetManagers(SetManagers { managers }))
            }
            Step::Vouch { by, rightly } => {
                let state = if *rightly { self.ledger.state().digest() } else { self.ledger.head() };
                (by, Op::Checkpoint(Checkpoint { state }))
            }
            Step::Note { by, critical, .. } => {
                (by, Op::Unknown { code: 900, critical: *critical, payload: Vec::new() })
            }
        })
    }

    /// The ledger's state is the model's.
    fn agrees(&self) {
        let (state, model) = (self.ledger.state(), &self.model);
        assert_eq!(told(state), expected(model));
        for key in CAST {
            let role = model.role(key).map(real_role);
            assert_eq!(state.authority(id(key)), role, "{key}");
            for what in RESOURCES {
                let open = state.access(id(key), &name(what), model.now) != Access::Denied;
                assert_eq!(open, model.opens(key, what), "{key} {what}");
            }
        }
    }
}

fn rename(what: Renamed, to: &str) -> Op {
    Op::Rename(Rename { what, to: name(to) })
}

/// A state in sorted lines.
pub(crate) type Lines = BTreeSet<String>;

/// What a state says.
pub(crate) fn told(state: &State) -> Lines {
    let word = |id: &NodeId| CAST.into_iter().find(|key| KEYS[key].id() == *id).unwrap();
    let mut lines = Lines::from([format!("network {}", state.name())]);
    lines.extend(state.managers().iter().map(|manager| format!("manager {}", manager.stamp)));
    lines.extend(state.users().iter().map(|(name, user)| format!("user {name} {}", user.role)));
    lines.extend(state.nodes().iter().map(|(id, node)| {
        let kind = format!("{:?}", node.kind).to_lowercase();
        format!("node {} {} {} {kind}", word(id), node.name, node.user)
    }));
    let invites = state.invites().iter().filter(|(_, known)| known.left > 0);
    lines.extend(invites.map(|(key, known)| format!("invite {key} {}", known.left)));
    let resources = state.resources().iter();
    lines.extend(
        resources.map(|(name, known)| format!("resource {name} {} {}", word(&known.node), known.kind)),
    );
    let grants = state.grants().iter();
    lines.extend(
        grants.flat_map(|(user, known)| known.keys().map(move |what| format!("grant {user} {what}"))),
    );
    lines
}

/// What the guest `viewer` should read of it, but for the invites.
pub(crate) fn expected_by(model: &Model, viewer: usize) -> Lines {
    let mut seen = model.clone();
    seen.people.retain(|person, _| model.knows(viewer, *person));
    seen.nodes.retain(|_, node| model.knows(viewer, node.person));
    seen.resources.retain(|_, known| known.shown_to.contains(&viewer));
    seen.resources.values_mut().for_each(|known| known.grants.retain(|person, _| *person == viewer));
    seen.invites.clear();
    expected(&seen)
}

fn expected(model: &Model) -> Lines {
    let name = |person: usize| model.people[&person].name;
    let mut lines = Lines::from([format!("network {}", model.network)]);
    lines.extend(model.managers.iter().map(|number| format!("manager {}", MANAGERS[*number].stamp_key())));
    lines.extend(
        model.people.values().map(|person| format!("user {} {}", person.name, real_role(person.role))),
    );
    lines.extend(model.nodes.iter().map(|(key, node)| {
        let kind = match node.kind {
            Kind::Device => "device",
            Kind::App => "app",
            Kind::Paper => "recovery",
        };
        format!("node {key} {} {} {kind}", node.called, name(node.person))
    }));
    let invites = model.invites.iter().enumerate().filter(|(_, invite)| invite.left > 0);
    lines.extend(invites.map(|(number, invite)| format!("invite {} {}", INVITES[number], invite.left)));
    for (what, known) in &model.resources {
        lines.insert(format!("resource {what} {} {}", known.node, known.kind));
        lines.extend(known.grants.keys().map(|person| format!("grant {} {what}", name(*person))));
    }
    lines
}
