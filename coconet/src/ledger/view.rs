//! What a guest sees: the same chain, with the bodies of some entries left out.
//!
//! A guest sees the genesis and who may stamp, the keys of owners, admins and devices with the invites
//! that brought them, everything about itself, its grants, and the resources it was ever granted. That
//! set is closed: each visible entry can be judged by the visible ones before it. Other guests, other
//! grants and the other resources stay out, also those that bear the name of somebody or something the
//! guest does see. [`views`] is computed by whoever holds the whole ledger, and [`digest`] over what was
//! left out lets the two compare. Who was removed sees the ledger up to the entry that says so ([`last_views`]).

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Entry;
use super::op::{Join, Op, Purpose, Renamed};
use crate::id::{Hash, InviteKey, NodeId};
use crate::name::Name;
use crate::role::Role;

/// Who a person is, whatever they are called.
type Person = usize;

/// Which resource it is: after a withdrawal the same name is another one.
type Offer = usize;

/// For each entry of a whole ledger, whether the guest `viewer` (a name at the end of it) sees its body.
pub fn views(entries: &[Entry], viewer: &Name) -> Vec<bool> {
    let ops: Vec<(NodeId, Option<Op>)> =
        entries.iter().map(|entry| (entry.draft.header.author, entry.draft.op())).collect();
    let mut register = Register::default();
    let about: Vec<About> = ops.iter().map(|(author, op)| register.note(*author, op.as_ref())).collect();
    let own = register.people.get(viewer).copied();
    let granted = own.and_then(|own| register.granted.get(&own)).cloned().unwrap_or_default();
    about
        .into_iter()
        .map(|about| match about {
            About::Everybody => true,
            About::Owners => false,
            About::Person(person) => register.shown(person, own),
            About::Invite(key) => {
                let invited = register.invites.get(&key).map(|known| &known.invited);
                invited.is_some_and(|people| people.iter().any(|person| register.shown(*person, own)))
            }
            About::Guest(person) => Some(person) == own,
            About::Resource(offer) => granted.contains(&offer),
        })
        .collect()
}

/// The same for a guest whom the last of `entries` removed, and who was called `viewer` before it: what it
/// saw until then, and that entry, so that it need not be told by others that it was removed.
pub fn last_views(entries: &[Entry], viewer: &Name) -> Vec<bool> {
    let Some((_, before)) = entries.split_last() else { return Vec::new() };
    let mut seen = views(before, viewer);
    seen.push(true);
    seen
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
    /// Seen by those who see one of the people it was for.
    Invite(InviteKey),
    /// Seen by the person alone.
    Guest(Person),
    /// Seen by those who were ever granted it.
    Resource(Offer),
}

struct Invited {
    inviter: NodeId,
    purpose: Purpose,
    /// The person expected, and those who came.
    invited: BTreeSet<Person>,
}

#[derive(Default)]
struct Register {
    next: usize,
    people: BTreeMap<Name, Person>,
    nodes: BTreeMap<NodeId, Person>,
    invites: BTreeMap<InviteKey, Invited>,
    /// People who ever were more than guests.
    public: BTreeSet<Person>,
    /// What is offered now, and by which node.
    resources: BTreeMap<Name, (Offer, NodeId)>,
    /// What a person was ever granted.
    granted: BTreeMap<Person, BTreeSet<Offer>>,
}

impl Register {
    fn shown(&self, person: Person, viewer: Option<Person>) -> bool {
        Some(person) == viewer || self.public.contains(&person)
    }

    fn note(&mut self, author: NodeId, op: Option<&Op>) -> About {
        match op {
            None | Some(Op::Checkpoint(_) | Op::Unknown { .. }) => About::Owners,
            Some(Op::SetManagers(_)) => About::Everybody,
            Some(Op::Genesis(op)) => {
                let person = self.person(&op.user);
                self.public.insert(person);
                self.nodes.insert(op.owner.node, person);
                About::Everybody
            }
            Some(Op::Invite(op)) => {
                let invited = match &op.purpose {
                    Purpose::User { name, .. } => BTreeSet::from([self.person(name)]),
                    Purpose::Device { .. } | Purpose::SelfApp | Purpose::Recovery => {
                        self.nodes.get(&author).copied().into_iter().collect()
                    }
                };
                let invite = Invited { inviter: author, purpose: op.purpose.clone(), invited };
                self.invites.insert(op.key, invite);
                About::Invite(op.key)
            }
            Some(Op::RevokeInvite(op)) => About::Invite(op.key),
            Some(Op::Join(op)) => self.note_join(op),
            Some(Op::RemoveNode(op)) => {
                self.resources.retain(|_, (_, node)| *node != op.node);
                self.about_node(op.node)
            }
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
                let nodes = &self.nodes;
                self.resources.retain(|_, (_, node)| nodes.get(node) != Some(&person));
                About::Person(person)
            }
            Some(Op::Rename(op)) => match &op.what {
                Renamed::Network => About::Everybody,
                Renamed::User(from) => {
                    let person = self.person(from);
                    self.people.remove(from);
                    self.people.insert(op.to.clone(), person);
                    self.invites.values_mut().for_each(|known| known.purpose.rename(from, &op.to));
                    About::Person(person)
                }
                Renamed::Node(id) => self.about_node(*id),
            },
            Some(Op::Publish(op)) => {
                let next = &mut self.next;
                let (offer, _) =
                    self.resources.entry(op.name.clone()).or_insert_with(|| (tick(next), author));
                About::Resource(*offer)
            }
            Some(Op::Withdraw(op)) => {
                self.resources.remove(&op.name).map_or(About::Owners, |(offer, _)| About::Resource(offer))
            }
            Some(Op::Grant(op)) => {
                let person = self.person(&op.user);
                if let Some((offer, _)) = self.resources.get(&op.resource) {
                    self.granted.entry(person).or_default().insert(*offer);
                }
                About::Guest(person)
            }
            Some(Op::RevokeGrant(op)) => About::Guest(self.person(&op.user)),
        }
    }

    fn note_join(&mut self, op: &Join) -> About {
        let Some(Invited { inviter, purpose, .. }) = self.invites.get(&op.invite) else {
            return About::Owners;
        };
        let person = match purpose.clone() {
            Purpose::User { name, role } => {
                let person = self.person(&name);
                if role != Role::Guest {
                    self.public.insert(person);
                }
                Some(person)
            }
            Purpose::Device { .. } | Purpose::SelfApp | Purpose::Recovery => self.nodes.get(inviter).copied(),
        };
        let Some(person) = person else { return About::Owners };
        if let Some(known) = self.invites.get_mut(&op.invite) {
            known.invited.insert(person);
        }
        self.nodes.insert(op.record.node, person);
        About::Person(person)
    }

    fn about_node(&self, node: NodeId) -> About {
        self.nodes.get(&node).map_or(About::Owners, |person| About::Person(*person))
    }

    /// The person of that name, known or expected.
    fn person(&mut self, name: &Name) -> Person {
        if let Some(person) = self.people.get(name) {
            return *person;
        }
        let person = tick(&mut self.next);
        self.people.insert(name.clone(), person);
        person
    }
}

fn tick(next: &mut usize) -> usize {
    *next += 1;
    *next
}
