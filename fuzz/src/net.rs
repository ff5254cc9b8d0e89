//! What drives `coconet`.

use std::sync::LazyLock;

use coconet::cbor;
use coconet::control;
use coconet::id::{Hash, NetworkId};
use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys, SEED_LEN};
use coconet::ledger::{
    BLIND_LEN, Blind, Draft, Entry, Genesis, Invite, Ledger, NetworkKind, Op, Purpose, stamp,
};
use coconet::manager_addr::ManagerAddr;
use coconet::name::{Name, SHOWN_MAX, shown};
use coconet::recovery::Recovery;
use coconet::resource::{ATTRIBUTE_MAX, Attributes, PATH};
use coconet::role::Role;
use coconet::target::Target;
use coconet::wire::{self, manager, node};
use minicbor::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A target's name and its body.
pub type Body = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: &[Body] = &[
    ("ledger_entry", ledger_entry),
    ("invite", invite),
    ("hello", hello),
    ("stream_header", stream_header),
    ("control_json", control_json),
];

/// An entry as it comes from a manager, a peer or the disk, and an op as a member signs it.
pub fn ledger_entry(data: &[u8]) -> bool {
    let mut taken = false;
    if let Ok(entry) = Entry::from_bytes(data) {
        taken = true;
        assert_eq!(entry.to_bytes(), data);
        if let Ok(ledger) = Ledger::begin(&entry) {
            assert_eq!(ledger.state().network().0, entry.hash());
        }
        let mut ledger = HOME.ledger.clone();
        if ledger.append(&entry).is_err() {
            assert_eq!(ledger, HOME.ledger);
        }
        // As a guest reads it: a body more or less makes no other chain.
        if let Ok(read) = Ledger::follow_viewed(Some(HOME.ledger.clone()), &entry) {
            assert_eq!(
                (read.head(), read.withheld().len()),
                (entry.hash(), usize::from(entry.draft.body.is_none()))
            );
        }
    }
    if let Ok(op) = Op::from_bytes(data) {
        taken = true;
        assert_eq!(op.to_bytes(), data);
        assert!(!op.to_string().is_empty());
        for author in &HOME.nodes {
            say(author, &op);
        }
    }
    taken
}

/// Texts that a person pastes: an invite, a manager's address, a target's URL, a name.
pub fn invite(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let plain = shown(&text);
    assert!(plain.chars().count() <= SHOWN_MAX && !plain.contains(char::is_control));
    let closest = Name::closest(&text, "node");
    assert_eq!(closest.as_str().parse().as_ref(), Ok(&closest));

    // The bytes as the inside of an invite, under a checksum that holds.
    let sum = &Hash::of("coco/invite", &[data]).0[..4];
    let inside = data_encoding::BASE32_NOPAD.encode(&[data, sum].concat());
    [
        text.parse().is_ok_and(|read: Invitation| same_invite(&text, &read)),
        format!("coco1{inside}")
            .parse()
            .is_ok_and(|read: Invitation| same_invite(&format!("coco1{inside}"), &read)),
        text.parse().is_ok_and(|read: Recovery| same_recovery(&text, &read)),
        text.parse().is_ok_and(|read: ManagerAddr| read.to_string().parse() == Ok(read)),
        text.parse().is_ok_and(|read: Target| same_target(&read)),
    ]
    .contains(&true)
}

/// The first stream of a session.
pub fn hello(data: &[u8]) -> bool {
    let greeting = taken_message::<node::Greeting>(data);
    if let Ok(node::Greeting::Entry(bytes)) = wire::message(data) {
        ledger_entry(&bytes);
    }
    taken_message::<node::Hello>(data) | greeting
}

/// What the other streams begin with, and what a manager is asked and answers.
pub fn stream_header(data: &[u8]) -> bool {
    [
        taken_message::<node::Request>(data),
        taken_message::<node::Reply>(data),
        taken_message::<manager::Request>(data),
        taken_message::<manager::Response>(data),
    ]
    .contains(&true)
}

/// The bodies that a daemon takes on its control socket, and the answers that `cococtl` reads.
pub fn control_json(data: &[u8]) -> bool {
    if let Ok(expose) = serde_json::from_slice::<control::Expose>(data) {
        invite(expose.url.as_bytes());
    }
    [
        taken_json::<control::CreateNetwork>(data),
        taken_json::<control::JoinNetwork>(data),
        taken_json::<control::CreateInvite>(data),
        taken_json::<control::Change>(data),
        taken_json::<control::Expose>(data),
        taken_json::<control::Open>(data),
        taken_json::<control::Ping>(data),
        taken_json::<control::Status>(data),
        taken_json::<control::Networks>(data),
        taken_json::<control::Network>(data),
        taken_json::<control::Invited>(data),
        taken_json::<control::Members>(data),
        taken_json::<control::Grants>(data),
        taken_json::<control::Invites>(data),
        taken_json::<control::Log>(data),
        taken_json::<control::Audit>(data),
        taken_json::<control::Usage>(data),
        taken_json::<control::Tunnels>(data),
        taken_json::<control::Tunnel>(data),
        taken_json::<control::Pong>(data),
        taken_json::<control::Done>(data),
        taken_json::<control::Event>(data),
        taken_json::<control::Failure>(data),
    ]
    .contains(&true)
}

/// No secret: so that a seed stays what it is.
const BLIND: Blind = Blind([0xb1; BLIND_LEN]);

/// A network with an owner, a device and a guest, to try ops on.
struct Home {
    manager: NodeKeys,
    nodes: [NodeKeys; 3],
    ledger: Ledger,
}

static HOME: LazyLock<Home> = LazyLock::new(|| {
    let key = |seed| NodeKeys::from_seed(&[seed; SEED_LEN]);
    let name = |text: &str| text.parse::<Name>().expect("a name");
    let (manager, nodes) = (key(200), [key(1), key(2), key(3)]);
    let addr = ManagerAddr {
        stamp: manager.stamp_key(),
        talk: manager.static_key(),
        host: "192.0.2.1".parse().expect("a host"),
        port: 4433,
        tls: None,
    };
    let genesis = Genesis {
        name: name("home"),
        kind: NetworkKind::User,
        owner: nodes[0].record(),
        user: name("alice"),
        node_name: name("laptop"),
        managers: vec![addr],
        salt: [7; 16],
    };
    let founding = Draft::new(&nodes[0], NetworkId(Hash::ZERO), Hash::ZERO, &Op::Genesis(genesis), BLIND);
    let ledger = Ledger::begin(&stamp(&manager, founding, 0, 0)).expect("a genesis");
    let mut home = Home { manager, nodes, ledger };
    let guest = Purpose::User { name: name("eve"), role: Role::Guest };
    for (at, purpose) in [(1, Purpose::Device { publish: true }), (2, guest)] {
        let secret = InviteSecret::from_seed(&[9 + at as u8; 32]);
        let invite = Invite { key: secret.key(), purpose, uses: 2, expires: 1, node_name: None, only: None };
        home.append(home.ledger.draft(&home.nodes[0], &Op::Invite(invite), BLIND));
        let invitation =
            Invitation { network: home.ledger.state().network(), managers: Vec::new(), secret, expires: 1 };
        let called = name(["", "cam", "eve-pc"][at]);
        home.append(invitation.join(&home.nodes[at], home.ledger.head(), &called, BLIND));
    }
    home
});

impl Home {
    fn append(&mut self, draft: Draft) {
        let entry = stamp(&self.manager, draft, self.ledger.seq() + 1, 0);
        self.ledger.append(&entry).expect("an allowed entry");
    }
}

/// `author` writes `op` into the ledger: manager and members agree, and a refusal changes nothing.
fn say(author: &NodeKeys, op: &Op) {
    let mut ledger = HOME.ledger.clone();
    let draft = ledger.draft(author, op, BLIND);
    let admitted = ledger.admit(&draft, 0);
    let entry = stamp(&HOME.manager, draft, ledger.seq() + 1, 0);
    let appended = ledger.append(&entry);
    assert_eq!(admitted, appended);
    match appended {
        Ok(()) => assert_eq!(Entry::from_bytes(&entry.to_bytes()), Ok(entry)),
        Err(reject) => {
            assert_eq!(ledger, HOME.ledger);
            assert!(!reject.to_string().is_empty() && !reject.code().is_empty());
        }
    }
}

/// An invite is its text: there is no second one for it, but for the case of its letters.
fn same_invite(text: &str, read: &Invitation) -> bool {
    assert_eq!(*read.to_text(), text.trim().to_ascii_lowercase());
    for manager in &read.managers {
        assert_eq!(manager.to_string().parse().as_ref(), Ok(manager));
    }
    true
}

fn same_recovery(text: &str, read: &Recovery) -> bool {
    assert_eq!(*read.to_text(), text.trim().to_ascii_lowercase());
    !read.managers.is_empty()
}

/// A target prints as what parses to it, and its path can be published.
fn same_target(read: &Target) -> bool {
    let again: Target = read.to_string().parse().expect("a printed target parses");
    assert_eq!(again, Target { had_login: false, ..read.clone() });
    assert!(read.path.len() <= ATTRIBUTE_MAX);
    assert!(Attributes::new([(PATH.parse().expect("a name"), read.path.clone())].into()).is_ok());
    true
}

/// Whether the bytes are such a message, which then has no other bytes.
fn taken_message<T>(data: &[u8]) -> bool
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    let Ok(message) = wire::message::<T>(data) else { return false };
    assert_eq!(cbor::encode(&message), data);
    assert_eq!(
        wire::frame(&message).map(|frame| frame[wire::FRAME_HEADER..].to_vec()).as_deref(),
        Some(data)
    );
    true
}

/// Whether the bytes are such an object, which then survives being written and read again.
fn taken_json<T>(data: &[u8]) -> bool
where
    T: DeserializeOwned + Serialize + PartialEq,
{
    let Ok(object) = serde_json::from_slice::<T>(data) else { return false };
    let text = serde_json::to_string(&object).expect("written");
    assert!(serde_json::from_str::<T>(&text).is_ok_and(|again| again == object), "{text}");
    true
}
