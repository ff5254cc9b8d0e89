//! What it takes to make a network what a file wants.
//!
//! What is taken away comes first, so that a run that breaks off has given nobody too much: grants, then
//! people, then resources. A role follows before the grants that need it, new owners before those who
//! are none any more, and our own role last, because what comes after it may no longer be allowed to us.
//! A resource is offered before it is granted.
//!
//! What no step can do is a [`Gap`]: somebody has not joined, or a resource is not offered by anybody. A
//! grant that has ended is as good as none.

use std::collections::BTreeSet;
use std::fmt;

use coconet::name::Name;
use coconet::role::Role;

use super::file::Wanted;
use super::found::Found;
use super::{Between, Terms};

/// One change of the network.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Revoke { between: Between },
    RemoveUser { user: Name },
    Withdraw { resource: Name, tunnel: String },
    SetRole { user: Name, from: Role, to: Role },
    Expose { resource: Name, url: String, instead: Option<String> },
    Grant { between: Between, terms: Terms, instead: Option<Terms> },
}

/// Something the file wants that is not for this daemon to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// They have to join.
    NotJoined { user: Name, role: Role },
    /// Somebody has to expose it.
    NotOffered { resource: Name },
    /// Listed as ours, and another node's.
    OfferedElsewhere { resource: Name, node: Name },
}

/// What to do, in this order, and what stays open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) gaps: Vec<Gap>,
}

/// The plan would remove whoever carries it out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RemovesUs(pub(crate) Name);

/// Compares. `remove`: whether people who are not listed go.
pub(crate) fn plan(wanted: &Wanted, found: &Found, remove: bool, now_ms: u64) -> Result<Plan, RemovesUs> {
    let leaving: BTreeSet<&Name> =
        found.users.keys().filter(|user| remove && !wanted.users.contains_key(*user)).collect();
    if leaving.contains(&found.own_user) {
        return Err(RemovesUs(found.own_user.clone()));
    }
    let ours = |name: &&Name| found.offered.get(*name).is_none_or(|node| *node == found.own_node);
    let withdrawn = found
        .exposed
        .iter()
        .filter(|(name, _)| wanted.prune && !wanted.resources.contains_key(*name) && ours(name));
    let withdrawn: Vec<_> = withdrawn.collect();
    let gone: BTreeSet<&Name> = withdrawn.iter().map(|(name, _)| *name).collect();

    let mut steps = revocations(wanted, found, &gone, now_ms);
    steps.extend(leaving.into_iter().map(|user| Step::RemoveUser { user: user.clone() }));
    steps.extend(withdrawn.into_iter().map(|(resource, exposed)| Step::Withdraw {
        resource: resource.clone(),
        tunnel: exposed.id.clone(),
    }));
    let (own_role, roles): (Vec<_>, Vec<_>) =
        roles(wanted, found).into_iter().partition(|step| is_about(step, &found.own_user));
    steps.extend(roles);
    let mut gaps = Vec::new();
    expose(wanted, found, &mut steps, &mut gaps);
    grant(wanted, found, &gone, now_ms, &mut steps, &mut gaps);
    steps.extend(own_role);
    let missing = wanted.users.iter().filter(|(user, _)| !found.users.contains_key(*user));
    gaps.extend(missing.map(|(user, role)| Gap::NotJoined { user: user.clone(), role: *role }));
    Ok(Plan { steps, gaps })
}

/// Grants of listed people that are not listed, or have ended. Those of a resource that is withdrawn go
/// with it.
fn revocations(wanted: &Wanted, found: &Found, gone: &BTreeSet<&Name>, now_ms: u64) -> Vec<Step> {
    let stays = |between: &Between| wanted.grants.get(between).is_some_and(|terms| runs(terms, now_ms));
    let unwanted = found.grants.keys().filter(|between| {
        let (user, resource) = *between;
        wanted.users.contains_key(user) && !gone.contains(resource) && !stays(between)
    });
    unwanted.map(|between| Step::Revoke { between: between.clone() }).collect()
}

fn roles(wanted: &Wanted, found: &Found) -> Vec<Step> {
    let changed = found.users.iter().filter_map(|(user, from)| {
        let to = wanted.users.get(user).filter(|to| *to != from)?;
        Some(Step::SetRole { user: user.clone(), from: *from, to: *to })
    });
    let (owners, others): (Vec<_>, Vec<_>) =
        changed.partition(|step| matches!(step, Step::SetRole { to: Role::Owner, .. }));
    owners.into_iter().chain(others).collect()
}

fn is_about(step: &Step, name: &Name) -> bool {
    matches!(step, Step::SetRole { user, .. } if user == name)
}

fn expose(wanted: &Wanted, found: &Found, steps: &mut Vec<Step>, gaps: &mut Vec<Gap>) {
    for (resource, target) in &wanted.resources {
        let (url, offered) = (target.to_string(), found.offered.get(resource));
        if let Some(node) = offered.filter(|node| **node != found.own_node) {
            gaps.push(Gap::OfferedElsewhere { resource: resource.clone(), node: node.clone() });
            continue;
        }
        let before = found.exposed.get(resource).map(|exposed| exposed.url.clone());
        if offered.is_none() || before.as_ref() != Some(&url) {
            let instead = before.filter(|before| *before != url);
            steps.push(Step::Expose { resource: resource.clone(), url, instead });
        }
    }
}

fn grant(
    wanted: &Wanted,
    found: &Found,
    gone: &BTreeSet<&Name>,
    now_ms: u64,
    steps: &mut Vec<Step>,
    gaps: &mut Vec<Gap>,
) {
    let mut missing = BTreeSet::new();
    for (between, terms) in wanted.grants.iter().filter(|(_, terms)| runs(terms, now_ms)) {
        let (user, resource) = between;
        let there = found.offered.contains_key(resource) && !gone.contains(resource);
        if !there && !wanted.resources.contains_key(resource) {
            missing.insert(resource.clone());
        } else if found.users.contains_key(user) {
            let before = found.grants.get(between);
            if before != Some(terms) {
                let instead = before.cloned();
                steps.push(Step::Grant { between: between.clone(), terms: terms.clone(), instead });
            }
        }
    }
    gaps.extend(missing.into_iter().map(|resource| Gap::NotOffered { resource }));
}

fn runs(terms: &Terms, now_ms: u64) -> bool {
    terms.until_ms.is_none_or(|until| now_ms < until)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoke { between: (user, resource) } => write!(f, "- grant {user} {resource}"),
            Self::RemoveUser { user } => write!(f, "- user {user}"),
            Self::Withdraw { resource, .. } => write!(f, "- resource {resource}"),
            Self::SetRole { user, from, to } => write!(f, "~ role {user}: {from} -> {to}"),
            Self::Expose { resource, url, instead: None } => write!(f, "+ resource {resource}: {url}"),
            Self::Expose { resource, url, instead: Some(before) } => {
                write!(f, "~ resource {resource}: {before} -> {url}")
            }
            Self::Grant { between: (user, resource), terms, instead: None } => {
                write!(f, "+ grant {user} {resource}: {terms}")
            }
            Self::Grant { between: (user, resource), terms, instead: Some(before) } => {
                write!(f, "~ grant {user} {resource}: {before} -> {terms}")
            }
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined { user, role } => write!(f, "{user} ({role}) has not joined"),
            Self::NotOffered { resource } => write!(f, "no node offers {resource}"),
            Self::OfferedElsewhere { resource, node } => {
                write!(f, "{resource} is offered by {node}, not by this node")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeMap;

    use coconet::grant::Capabilities;

    use super::super::file::parse;
    use super::super::found::Exposed;
    use super::*;

    const NOW: u64 = 1_785_587_640_000;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn can(words: &[&str]) -> Terms {
        let can = Capabilities::new(words.iter().map(|&word| word.to_owned()).collect()).unwrap();
        Terms { can, when: None, until_ms: None }
    }

    /// alice, who we are, is the owner, bob a guest who may play the door that this node, hall, offers.
    fn found() -> Found {
        Found {
            own_user: name("alice"),
            own_node: name("hall"),
            users: BTreeMap::from([(name("alice"), Role::Owner), (name("bob"), Role::Guest)]),
            offered: BTreeMap::from([(name("door"), name("hall")), (name("attic"), name("roof"))]),
            exposed: BTreeMap::from([(
                name("door"),
                Exposed { id: "t3".to_owned(), url: "rtsp://cam:554/s".to_owned() },
            )]),
            grants: BTreeMap::from([((name("bob"), name("door")), can(&["play"]))]),
        }
    }

    /// The lines of the plan, steps before gaps.
    fn lines(text: &str, found: &Found) -> Vec<String> {
        let wanted = parse(&format!("network = 'home'\n{text}")).unwrap();
        let plan = plan(&wanted, found, wanted.remove, NOW).unwrap();
        let steps = plan.steps.iter().map(Step::to_string);
        steps.chain(plan.gaps.iter().map(|gap| format!("? {gap}"))).collect()
    }

    const AS_IT_IS: &str = "\
users = { alice = 'owner', bob = 'guest' }
resources.door.url = 'rtsp://cam/s'
grants = [{ user = 'bob', resource = 'door', can = ['play'] }]
";

    fn no_lines() -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn nothing_is_done_where_nothing_differs() {
        assert_eq!(lines(AS_IT_IS, &found()), no_lines());
        assert_eq!(lines(&format!("remove = true\nprune = true\n{AS_IT_IS}"), &found()), no_lines());
    }

    #[test]
    fn who_and_what_is_not_listed_is_left_alone() {
        assert_eq!(lines("", &found()), no_lines());
        assert_eq!(lines("users.alice = 'owner'", &found()), no_lines());
    }

    #[test]
    fn a_listed_person_keeps_the_listed_grants_only() {
        assert_eq!(lines("users.bob = 'guest'", &found()), ["- grant bob door"]);
    }

    #[test]
    fn only_a_file_that_says_so_takes_people_and_resources_away() {
        let mut found = found();
        found.users.insert(name("eve"), Role::Admin);
        found.grants.insert((name("eve"), name("door")), can(&["play"]));
        let text = "remove = true\nprune = true\nusers = { alice = 'owner', bob = 'guest' }";
        // Their grants go with them.
        assert_eq!(lines(text, &found), ["- user eve", "- resource door"]);
    }

    #[test]
    fn whoever_carries_it_out_is_not_removed() {
        let wanted = parse("network = 'home'\nusers.bob = 'guest'").unwrap();
        assert_eq!(plan(&wanted, &found(), true, NOW), Err(RemovesUs(name("alice"))));
        assert!(plan(&wanted, &found(), false, NOW).is_ok());
    }

    #[test]
    fn what_is_taken_comes_first_and_our_own_role_last() {
        let mut found = found();
        found.users.insert(name("carol"), Role::Guest);
        found.users.insert(name("dave"), Role::Owner);
        let text = "\
users = { alice = 'guest', bob = 'guest', carol = 'owner', dave = 'admin' }
resources = { door.url = 'rtsp://cam/t', ssh.url = 'tcp://localhost:22' }
grants = [{ user = 'bob', resource = 'ssh', can = ['connect'] }]
";
        let expected = [
            "- grant bob door",
            "~ role carol: guest -> owner",
            "~ role dave: owner -> admin",
            "~ resource door: rtsp://cam:554/s -> rtsp://cam:554/t",
            "+ resource ssh: tcp://localhost:22",
            "+ grant bob ssh: connect",
            "~ role alice: owner -> guest",
        ];
        assert_eq!(lines(text, &found), expected);
    }

    #[test]
    fn a_grant_on_other_terms_replaces_the_one_before() {
        let text = AS_IT_IS.replace("['play']", "['talk', 'play'], when = 'daily 08:00-20:00 UTC'");
        let expected = "~ grant bob door: play -> play talk, daily 08:00-20:00 UTC";
        assert_eq!(lines(&text, &found()), [expected]);
    }

    #[test]
    fn a_grant_that_has_ended_is_as_good_as_none() {
        let text = AS_IT_IS.replace("['play']", "['play'], until = 2026-08-01");
        let mut found = found();
        assert_eq!(lines(&text, &found), ["- grant bob door"]);
        found.grants.clear();
        assert_eq!(lines(&text, &found), no_lines());
    }

    #[test]
    fn what_others_have_to_do_is_said() {
        let text = "\
users = { bob = 'guest', carol = 'admin', dave = 'guest' }
resources.attic.url = 'tcp://localhost:22'
[[grants]]
user = 'bob'
resource = 'garage'
can = ['play']
[[grants]]
user = 'dave'
resource = 'door'
can = ['play']
";
        let expected = [
            "- grant bob door",
            "? attic is offered by roof, not by this node",
            "? no node offers garage",
            "? carol (admin) has not joined",
            "? dave (guest) has not joined",
        ];
        assert_eq!(lines(text, &found()), expected);
    }

    #[test]
    fn what_the_ledger_lost_is_offered_again() {
        let mut found = found();
        found.offered.remove("door");
        assert_eq!(lines(AS_IT_IS, &found), ["+ resource door: rtsp://cam:554/s"]);
    }
}
