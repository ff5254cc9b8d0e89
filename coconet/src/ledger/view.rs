//! What a guest sees: the same chain, with the bodies of some entries left out.
//!
//! A guest sees the genesis and who may stamp, the keys of owners, admins and devices with the invites
//! that brought them, everything about itself, its grants, and the resources it was ever granted. That
//! set is closed: each visible entry can be judged by the visible ones before it. Other guests, other
//! grants and the other resources stay out. [`views`] is computed by whoever holds the whole ledger, and
//! [`digest`] over what was left out lets the two compare.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Entry;
use super::op::{Op, Purpose, Renamed};
use super::state::NodeKind;
use crate::id::{Hash, InviteKey, NodeId};
use crate::name::Name;
use crate::role::Role;

/// Who a person or node is, whatever they are called.
type Person = usize;

/// For each entry of a whole ledger, whether the guest `viewer` (a name at the end of it) sees its body.
pub fn views(entries: &[Entry], viewer: &Name) -> Vec<bool> {
    let ops: Vec<(NodeId, Option<Op>)> = entries
        .iter()
        .map(|entry| {
            let op = entry.draft.op.as_deref().and_then(|bytes| Op::from_bytes(bytes).ok());
            (entry.draft.header.author, op)
        })
        .collect();
    let mut register = Register::default();
    let about: Vec<About> = ops.iter().map(|(author, op)| register.note(*author, op.as_ref())).collect();
    let own = register.people.get(viewer).copied();
    let granted = own.and_then(|own| register.granted.get(&own)).cloned().unwrap_or_default();
    about
        .into_iter()
        .map(|about| match about {
            About::Everybody => true,
            About::Owners => false,
            About::Person(person) => Some(person) == own || register.public.contains(&person),
            About::Guest(person) => Some(person) == own,
            About::Resource(name) => granted.contains(&name),
        })
        .collect()
}

/// What two holders of the same view compare: the numbers of the entries whose bodies are left out.
pub fn digest(withheld: impl IntoIterator<Item = u64>) -> Hash {
    let numbers: Vec<u8> = withheld.into_iter().flat_map(u64::to_be_bytes).collect();
    Hash::of("coco/view", &[&numbers])
}

/// Whom an entry concerns.
enum About {
    Everybody,
    /// Only those who see everything.
    Owners,
    /// Seen by all when the person ever was more than a guest, else by the person alone.
    Person(Person),
    /// Seen by the person alone.
    Guest(Person),
    Resource(Name),
}

#[derive(Default)]
struct Register {
    next: Person,
    people: BTreeMap<Name, Person>,
    nodes: BTreeMap<NodeId, (Person, NodeKind)>,
    invites: BTreeMap<InviteKey, (NodeId, Purpose)>,
    /// People who ever were more than guests.
    public: BTreeSet<Person>,
    /// Names of resources ever granted.
    granted: BTreeMap<Person, BTreeSet<Name>>,
}

impl Register {
    fn note(&mut self, author: NodeId, op: Option<&Op>) -> About {
        match op {
            None | Some(Op::Checkpoint(_) | Op::Unknown { .. }) => About::Owners,
            Some(Op::SetManagers(_)) => About::Everybody,
            Some(Op::Genesis(op)) => {
                let person = self.person(&op.user);
                self.public.insert(person);
                self.nodes.insert(op.owner.node, (person, NodeKind::App));
                About::Everybody
            }
            Some(Op::Invite(op)) => {
                self.invites.insert(op.key, (author, op.purpose.clone()));
                self.about_invite(op.key)
            }
            Some(Op::RevokeInvite(op)) => self.about_invite(op.key),
            Some(Op::Join(op)) => {
                let Some((inviter, purpose)) = self.invites.get(&op.invite).cloned() else {
                    return About::Owners;
                };
                let person = match &purpose {
                    Purpose::User { name, .. } => self.person(name),
                    Purpose::Device { .. } | Purpose::SelfApp | Purpose::Recovery => {
                        self.nodes.get(&inviter).map_or(Person::MAX, |(person, _)| *person)
                    }
                };
                let kind = match purpose {
                    Purpose::Device { .. } => NodeKind::Device,
                    Purpose::Recovery => NodeKind::Recovery,
                    Purpose::SelfApp | Purpose::User { .. } => NodeKind::App,
                };
                self.nodes.insert(op.record.node, (person, kind));
                About::Person(person)
            }
            Some(Op::RemoveNode(op)) => match self.nodes.get(&op.node) {
                Some((person, _)) => About::Person(*person),
                None => About::Owners,
            },
            Some(Op::SetRole(op)) => {
                let person = self.person(&op.user);
                if op.role != Role::Guest {
                    self.public.insert(person);
                }
                About::Person(person)
            }
            Some(Op::RemoveUser(op)) => {
                let person = self.person(&op.user);
                // The name is free for somebody else.
                self.people.remove(&op.user);
                About::Person(person)
            }
            Some(Op::Rename(op)) => match &op.what {
                Renamed::Network => About::Everybody,
                Renamed::User(from) => {
                    let person = self.person(from);
                    self.people.remove(from);
                    self.people.insert(op.to.clone(), person);
                    About::Person(person)
                }
                Renamed::Node(id) => match self.nodes.get(id) {
                    Some((person, _)) => About::Person(*person),
                    None => About::Owners,
                },
            },
            Some(Op::Publish(op)) => About::Resource(op.name.clone()),
            Some(Op::Withdraw(op)) => About::Resource(op.name.clone()),
            Some(Op::Grant(op)) => {
                let person = self.person(&op.user);
                self.granted.entry(person).or_default().insert(op.resource.clone());
                About::Guest(person)
            }
            Some(Op::RevokeGrant(op)) => About::Guest(self.person(&op.user)),
        }
    }

    fn about_invite(&mut self, key: InviteKey) -> About {
        let Some((inviter, purpose)) = self.invites.get(&key).cloned() else { return About::Owners };
        match purpose {
            Purpose::Device { .. } | Purpose::Recovery => About::Everybody,
            Purpose::SelfApp => match self.nodes.get(&inviter) {
                Some((person, _)) => About::Person(*person),
                None => About::Owners,
            },
            Purpose::User { name, role } => {
                let person = self.person(&name);
                if role != Role::Guest {
                    self.public.insert(person);
                }
                About::Person(person)
            }
        }
    }

    /// The person of that name, known or expected.
    fn person(&mut self, name: &Name) -> Person {
        if let Some(person) = self.people.get(name) {
            return *person;
        }
        self.next += 1;
        self.people.insert(name.clone(), self.next);
        self.next
    }
}
