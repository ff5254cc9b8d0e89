//! A network as the product's description has it, in plain maps and plain words.
//!
//! Written from the definitions of owner, admin, guest and device, not from the ledger's code or its table,
//! and without keys, signatures or bytes. People, resources and invites are numbers here, so that a name is
//! no more than a name. [`Model::allows`] says whether a step may be taken, [`Model::does`] takes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::steps::{As, HOUR, Role, Step};

/// A node's keys are known by a word.
pub(crate) type Key = &'static str;

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Device,
    App,
    Paper,
}

#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// Who ever was more than a guest is known to all for ever.
    pub(crate) public: bool,
    /// The invite that brought them.
    brought_by: Option<usize>,
    pub(crate) was_called: BTreeSet<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) person: usize,
    pub(crate) kind: Kind,
    pub(crate) called: &'static str,
    publishes: bool,
}

#[derive(Debug, Clone)]
enum Whom {
    /// The inviter's own.
    Own,
    /// Whoever comes first under that name.
    Expected(&'static str),
    Person(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct Invite {
    by: Key,
    what: As,
    whom: Whom,
    pub(crate) left: u32,
    revoked: bool,
    expires: u64,
    pub(crate) named: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) node: Key,
    pub(crate) kind: &'static str,
    pub(crate) grants: BTreeMap<usize, Grant>,
    /// People who ever had a grant of it.
    pub(crate) shown_to: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    until: Option<u64>,
    mornings: bool,
}

/// All there is.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) network: &'static str,
    pub(crate) managers: Vec<usize>,
    pub(crate) people: BTreeMap<usize, Person>,
    pub(crate) nodes: BTreeMap<Key, Node>,
    gone: BTreeSet<Key>,
    pub(crate) invites: Vec<Invite>,
    pub(crate) resources: BTreeMap<&'static str, Resource>,
    counter: usize,
    /// Names that nodes had or asked for, each with the people whose nodes they were.
    pub(crate) node_names: BTreeMap<&'static str, BTreeSet<usize>>,
    /// Names that resources had, each with those who were ever shown one of them.
    pub(crate) resource_names: BTreeMap<&'static str, BTreeSet<usize>>,
    /// People by number, also those who have gone.
    pub(crate) everybody: BTreeMap<usize, Person>,
}

/// What can be done with a resource of each kind.
fn can(kind: &str) -> &'static [&'static str] {
    match kind {
        "rtsp" => &["play", "record", "talk"],
        "http" => &["read", "write"],
        "tcp" => &["connect", "exchange"],
        "udp" => &["exchange"],
        "ip" => &["connect"],
        "mqtt" => &["publish", "subscribe"],
        _ => &[],
    }
}

impl Model {
    /// alice has founded a network from `laptop`.
    pub(crate) fn founded(now: u64) -> Self {
        let alice = Person {
            name: "alice",
            role: Role::Owner,
            public: true,
            brought_by: None,
            was_called: ["alice"].into(),
        };
        let laptop = Node { person: 0, kind: Kind::App, called: "laptop", publishes: true };
        Self {
            now,
            network: "home",
            managers: vec![0],
            people: [(0, alice.clone())].into(),
            nodes: [("laptop", laptop)].into(),
            gone: BTreeSet::new(),
            invites: Vec::new(),
            resources: BTreeMap::new(),
            counter: 0,
            node_names: [("laptop", [0].into())].into(),
            resource_names: BTreeMap::new(),
            everybody: [(0, alice)].into(),
        }
    }

    pub(crate) fn person(&self, name: &str) -> Option<usize> {
        self.people.iter().find(|(_, person)| person.name == name).map(|(number, _)| *number)
    }

    /// A device has nobody's rights.
    pub(crate) fn role(&self, node: Key) -> Option<Role> {
        let node = self.nodes.get(node).filter(|node| node.kind != Kind::Device)?;
        Some(self.people[&node.person].role)
    }

    fn owner(&self, node: Key) -> bool {
        self.role(node) == Some(Role::Owner)
    }

    fn manages(&self, node: Key) -> bool {
        matches!(self.role(node), Some(Role::Owner | Role::Admin))
    }

    /// Owners are changed by owners only, others by owners and admins.
    fn manages_person(&self, node: Key, person: usize) -> bool {
        if self.people[&person].role == Role::Owner { self.owner(node) } else { self.manages(node) }
    }

    /// Somebody who can sign as an owner is left when these nodes are not counted.
    fn ruled_without(&self, goes: impl Fn(Key, &Node) -> bool) -> bool {
        self.nodes.iter().any(|(key, node)| self.owner(key) && !goes(key, node))
    }

    fn node_name_free(&self, name: &str) -> bool {
        self.nodes.values().all(|node| node.called != name)
    }

    fn may_invite(&self, by: Key, what: &As) -> bool {
        match what {
            As::Device(_) | As::Paper => self.owner(by),
            As::OwnApp => self.role(by).is_some(),
            As::Person(_, _) => self.manages(by),
        }
    }

    /// Whether the step may be taken.
    pub(crate) fn allows(&self, step: &Step) -> bool {
        match step {
            Step::Wait { .. } => true,
            Step::Invite { by, what, uses, .. } => {
                let person = match what {
                    As::Person(_, Role::Owner) => false,
                    // A further app of somebody is an owner's to add, and their role stays.
                    As::Person(name, role) => self
                        .person(name)
                        .is_none_or(|known| self.people[&known].role == *role && self.owner(by)),
                    As::Device(_) | As::OwnApp | As::Paper => true,
                };
                self.may_invite(by, what) && *uses > 0 && person
            }
            Step::Uninvite { by, .. } => match step.invite(&self.invites) {
                Some((_, invite)) => self.may_uninvite(by, invite),
                None => false,
            },
            Step::Join { who, called, .. } => match step.invite(&self.invites) {
                Some((number, invite)) => self.may_join(who, invite.named.unwrap_or(called), number, invite),
                None => false,
            },
            Step::RemoveNode { by, whom } => self.may_remove(by, whom),
            Step::SetRole { by, user, role } => {
                let Some(person) = self.person(user) else { return false };
                let allowed = self.manages_person(by, person);
                match role {
                    Role::Owner => allowed && self.owner(by),
                    Role::Admin | Role::Guest => {
                        allowed && self.ruled_without(|_, node| node.person == person)
                    }
                }
            }
            Step::RemoveUser { by, user } => {
                let Some(person) = self.person(user) else { return false };
                let devices =
                    self.nodes.values().any(|node| node.person == person && node.kind == Kind::Device);
                self.manages_person(by, person)
                    && (!devices || self.owner(by))
                    && self.ruled_without(|_, node| node.person == person)
            }
            Step::RenameNetwork { by, .. } => self.owner(by),
            Step::RenameUser { by, user, to } => {
                let known = self.person(user);
                known.is_some_and(|person| self.manages_person(by, person)) && self.person(to).is_none()
            }
            Step::RenameNode { by, whom, to } => match self.nodes.get(whom) {
                Some(node) if node.kind == Kind::Device => self.owner(by) && self.node_name_free(to),
                Some(node) => self.manages_person(by, node.person) && self.node_name_free(to),
                None => false,
            },
            Step::Publish { by, what, .. } => {
                let Some(node) = self.nodes.get(by) else { return false };
                let allowed = if node.kind == Kind::Device { node.publishes } else { self.owner(by) };
                allowed && self.resources.get(what).is_none_or(|known| known.node == *by)
            }
            Step::Withdraw { by, what } => match self.resources.get(what) {
                Some(known) => self.nodes.contains_key(by) && (known.node == *by || self.owner(by)),
                None => false,
            },
            Step::Grant { by, user, what, words, .. } => {
                let guest = self.person(user).is_some_and(|person| self.people[&person].role == Role::Guest);
                let fits = |known: &Resource| words.iter().all(|word| can(known.kind).contains(word));
                self.manages(by) && guest && self.resources.get(what).is_some_and(fits)
            }
            Step::Revoke { by, user, what } => {
                let known = self.person(user).zip(self.resources.get(what));
                self.manages(by) && known.is_some_and(|(person, known)| known.grants.contains_key(&person))
            }
            Step::Managers { by, which } => self.owner(by) && !which.is_empty(),
            Step::Vouch { by, rightly } => self.owner(by) && *rightly,
            Step::Note { by, critical, manager } => {
                self.nodes.contains_key(by) && !critical && self.managers.contains(manager)
            }
        }
    }

    fn may_uninvite(&self, by: Key, invite: &Invite) -> bool {
        if invite.revoked || invite.left == 0 || self.role(by).is_none() {
            return false;
        }
        let inviter = self.nodes.get(invite.by);
        let own = inviter.is_some_and(|inviter| inviter.person == self.nodes[by].person);
        let admins = match invite.what {
            As::Person(_, _) => true,
            As::OwnApp => !self.owner(invite.by),
            As::Device(_) | As::Paper => false,
        };
        own || self.owner(by) || (self.manages(by) && admins)
    }

    fn may_join(&self, who: Key, called: &str, number: usize, invite: &Invite) -> bool {
        let open = !invite.revoked && invite.left > 0 && self.now < invite.expires;
        let fresh = !self.nodes.contains_key(who) && !self.gone.contains(who);
        let person = match (&invite.what, &invite.whom) {
            (As::Person(_, role), Whom::Person(person)) => {
                let known = self.people.get(person).filter(|person| person.role == *role);
                known.is_some_and(|person| person.brought_by == Some(number) || self.owner(invite.by))
            }
            _ => true,
        };
        open && fresh && person && self.may_invite(invite.by, &invite.what) && self.node_name_free(called)
    }

    fn may_remove(&self, by: Key, whom: Key) -> bool {
        let (Some(own), Some(target)) = (self.nodes.get(by), self.nodes.get(whom)) else { return false };
        let allowed = by == whom
            || match target.kind {
                Kind::Device => self.owner(by),
                Kind::App | Kind::Paper if target.person == own.person => self.role(by).is_some(),
                Kind::App | Kind::Paper => self.manages_person(by, target.person),
            };
        allowed && self.ruled_without(|key, _| key == whom)
    }

    /// Take a step that is allowed.
    pub(crate) fn does(&mut self, step: &Step) {
        match step {
            Step::Wait { hours } => self.now += hours * HOUR,
            Step::Invite { by, what, uses, hours, named } => {
                let whom = match what {
                    As::Person(name, _) => self.person(name).map_or(Whom::Expected(name), Whom::Person),
                    As::Device(_) | As::OwnApp | As::Paper => Whom::Own,
                };
                let (what, expires) = (what.clone(), self.now + hours * HOUR);
                let invite = Invite { by, what, whom, left: *uses, revoked: false, expires, named: *named };
                self.invites.push(invite);
            }
            Step::Uninvite { .. } => {
                if let Some((number, _)) = step.invite(&self.invites) {
                    (self.invites[number].left, self.invites[number].revoked) = (0, true);
                }
            }
            Step::Join { who, called, .. } => {
                if let Some((number, _)) = step.invite(&self.invites) {
                    self.join(who, called, number);
                }
            }
            Step::RemoveNode { whom, .. } => self.remove(whom),
            Step::SetRole { user, role, .. } => {
                let person = self.person(user).and_then(|number| self.people.get_mut(&number)).unwrap();
                person.role = *role;
                person.public |= *role != Role::Guest;
                if *role != Role::Guest {
                    let number = self.person(user).unwrap();
                    for known in self.resources.values_mut() {
                        known.grants.remove(&number);
                    }
                }
            }
            Step::RemoveUser { user, .. } => {
                let number = self.person(user).unwrap();
                let theirs = self.nodes.iter().filter(|(_, node)| node.person == number);
                let theirs: Vec<Key> = theirs.map(|(key, _)| *key).collect();
                theirs.into_iter().for_each(|key| self.remove(key));
                self.people.remove(&number);
                self.resources
                    .values_mut()
                    .for_each(|known| known.grants.retain(|person, _| *person != number));
                for invite in &mut self.invites {
                    if matches!(invite.whom, Whom::Person(person) if person == number) {
                        (invite.left, invite.revoked) = (0, true);
                    }
                }
            }
            Step::RenameNetwork { to, .. } => self.network = to,
            Step::RenameUser { user, to, .. } => {
                let number = self.person(user).unwrap();
                let person = self.people.get_mut(&number).unwrap();
                person.name = to;
                person.was_called.insert(to);
                self.expected(number, to);
            }
            Step::RenameNode { whom, to, .. } => {
                let node = self.nodes.get_mut(whom).unwrap();
                node.called = to;
                self.node_names.entry(to).or_default().insert(node.person);
            }
            Step::Publish { by, what, kind } => self.publish(by, what, kind),
            Step::Withdraw { what, .. } => drop(self.resources.remove(what)),
            Step::Grant { user, what, days, mornings, .. } => {
                let person = self.person(user).unwrap();
                let until = days.map(|days| self.now + days * 24 * HOUR);
                let known = self.resources.get_mut(what).unwrap();
                known.grants.insert(person, Grant { until, mornings: *mornings });
                known.shown_to.insert(person);
                self.resource_names.entry(what).or_default().insert(person);
            }
            Step::Revoke { user, what, .. } => {
                let person = self.person(user).unwrap();
                self.resources.get_mut(what).unwrap().grants.remove(&person);
            }
            Step::Managers { which, .. } => self.managers.clone_from(which),
            Step::Vouch { .. } | Step::Note { .. } => {}
        }
        let now: Vec<_> = self.people.iter().map(|(number, person)| (*number, person.clone())).collect();
        self.everybody.extend(now);
    }

    fn join(&mut self, who: Key, called: &'static str, number: usize) {
        let invite = &mut self.invites[number];
        invite.left -= 1;
        let (by, asked, called) = (invite.by, called, invite.named.unwrap_or(called));
        let (kind, publishes) = match invite.what {
            As::Device(publishes) => (Kind::Device, publishes),
            As::OwnApp | As::Person(_, _) => (Kind::App, false),
            As::Paper => (Kind::Paper, false),
        };
        let person = match (invite.whom.clone(), invite.what.clone()) {
            (Whom::Person(person), _) => person,
            (Whom::Expected(name), As::Person(_, role)) => {
                self.counter += 1;
                let public = role != Role::Guest;
                let person =
                    Person { name, role, public, brought_by: Some(number), was_called: [name].into() };
                self.people.insert(self.counter, person);
                self.expected(self.counter, name);
                self.counter
            }
            _ => self.nodes[by].person,
        };
        for name in [asked, called] {
            self.node_names.entry(name).or_default().insert(person);
        }
        self.nodes.insert(who, Node { person, kind, called, publishes });
    }

    /// Who was expected under that name has come.
    fn expected(&mut self, person: usize, name: &str) {
        for invite in &mut self.invites {
            if matches!(invite.whom, Whom::Expected(expected) if expected == name) {
                invite.whom = Whom::Person(person);
            }
        }
    }

    fn remove(&mut self, key: Key) {
        self.nodes.remove(key);
        self.gone.insert(key);
        self.resources.retain(|_, known| known.node != key);
    }

    fn publish(&mut self, node: Key, what: &'static str, kind: &'static str) {
        let (grants, shown_to) = (BTreeMap::new(), BTreeSet::new());
        self.resource_names.entry(what).or_default();
        let new = || Resource { node, kind, grants, shown_to };
        let known = self.resources.entry(what).or_insert_with(new);
        if known.kind != kind {
            known.kind = kind;
            known.grants.clear();
        }
    }

    /// Whether the guest `viewer` knows of `person`.
    pub(crate) fn knows(&self, viewer: usize, person: usize) -> bool {
        viewer == person || self.everybody[&person].public
    }

    /// Whether `node` may open `what` now.
    pub(crate) fn opens(&self, node: Key, what: &str) -> bool {
        let (Some(role), Some(known)) = (self.role(node), self.resources.get(what)) else { return false };
        match role {
            Role::Owner | Role::Admin => true,
            Role::Guest => known.grants.get(&self.nodes[node].person).is_some_and(|grant| {
                let hour = self.now / HOUR % 24;
                grant.until.is_none_or(|until| self.now < until)
                    && (!grant.mornings || (8..12).contains(&hour))
            }),
        }
    }
}
