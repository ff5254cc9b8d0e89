//! Any value of each kind, well-formed and otherwise meaningless.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use coconet::grant::{Capabilities, Schedule};
use coconet::id::{Hash, InviteKey, NetworkId, NodeId, StampKey, StaticKey};
use coconet::key::{NodeRecord, Signature};
use coconet::ledger::{
    BLIND_LEN, Blind, Body, Checkpoint, Draft, Entry, Genesis, Grant, Header, Invite, Join, NetworkKind, Op,
    Publish, Purpose, RemoveNode, RemoveUser, Rename, Renamed, RevokeGrant, RevokeInvite, SetManagers,
    SetRole, Stamp, Withdraw,
};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::resource::{Attributes, Kind};
use coconet::role::Role;
use coconet::scope::{SCOPE_MAX, Scope, ScopeWord};
use coconet::wire::{manager, node};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::name;

pub(crate) fn bytes32() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

pub(crate) fn signature() -> impl Strategy<Value = Signature> {
    any::<([u8; 32], [u8; 32])>().prop_map(|(r, s)| Signature([r, s].concat().try_into().unwrap()))
}

pub(crate) fn a_name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?".prop_map(|text| name(&text))
}

pub(crate) fn network() -> impl Strategy<Value = NetworkId> {
    bytes32().prop_map(|bytes| NetworkId(Hash(bytes)))
}

pub(crate) fn socket() -> impl Strategy<Value = SocketAddr> {
    // What the wire carries: an IPv6 address has no scope there.
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| (Ipv4Addr::from(ip), port).into()),
        any::<([u8; 16], u16)>().prop_map(|(ip, port)| (Ipv6Addr::from(ip), port).into()),
    ]
}

pub(crate) fn record() -> impl Strategy<Value = NodeRecord> {
    (bytes32(), bytes32(), signature()).prop_map(|(node, talk, signature)| NodeRecord {
        node: NodeId(node),
        talk: StaticKey(talk),
        signature,
    })
}

pub(crate) fn address() -> impl Strategy<Value = ManagerAddr> {
    let host = prop_oneof![
        "[a-z0-9][a-zA-Z0-9._-]{0,40}",
        any::<[u8; 4]>().prop_map(|ip| Ipv4Addr::from(ip).to_string()),
        any::<[u8; 16]>().prop_map(|ip| Ipv6Addr::from(ip).to_string()),
    ];
    let tls = proptest::option::of(any::<NonZeroU16>());
    (bytes32(), bytes32(), host, 1..=u16::MAX, tls).prop_map(|(stamp, talk, host, port, tls)| ManagerAddr {
        stamp: StampKey(stamp),
        talk: StaticKey(talk),
        host: host.parse().unwrap(),
        port,
        tls,
    })
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Owner), Just(Role::Admin), Just(Role::Guest)]
}

pub(crate) fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![
        any::<bool>().prop_map(|publish| Purpose::Device { publish }),
        Just(Purpose::SelfApp),
        Just(Purpose::Recovery),
        (a_name(), role()).prop_map(|(name, role)| Purpose::User { name, role }),
    ]
}

pub(crate) fn genesis() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![Just(NetworkKind::User), Just(NetworkKind::Developer)];
    (a_name(), kind, record(), a_name(), a_name(), vec(address(), 0..9), any::<[u8; 16]>()).prop_map(
        |(name, kind, owner, user, node_name, managers, salt)| {
            Op::Genesis(Genesis { name, kind, owner, user, node_name, managers, salt })
        },
    )
}

fn scope() -> impl Strategy<Value = Scope> {
    let word =
        prop_oneof![select(&Kind::ALL).prop_map(ScopeWord::Kind), a_name().prop_map(ScopeWord::Resource)];
    vec(word, 1..SCOPE_MAX).prop_filter_map("a word twice", |words| Scope::new(words).ok())
}

pub(crate) fn invite() -> impl Strategy<Value = Op> {
    (bytes32(), purpose(), any::<u32>(), any::<u64>(), option::of(a_name()), option::of(scope())).prop_map(
        |(key, purpose, uses, expires, node_name, only)| {
            Op::Invite(Invite { key: InviteKey(key), purpose, uses, expires, node_name, only })
        },
    )
}

pub(crate) fn publish() -> impl Strategy<Value = Op> {
    let kind = select(&Kind::ALL);
    let attributes = btree_map(a_name(), "[^\\p{Cc}]{0,40}", 0..=16);
    (a_name(), kind, attributes).prop_map(|(name, kind, attributes)| {
        Op::Publish(Publish { name, kind, attributes: Attributes::new(attributes).unwrap() })
    })
}

pub(crate) fn capabilities() -> impl Strategy<Value = Capabilities> {
    proptest::collection::btree_set("[a-z]{1,9}(:[a-z/#+]{1,20})?", 1..=16)
        .prop_map(|words| Capabilities::new(words.into_iter().collect()).unwrap())
}

pub(crate) fn schedule() -> impl Strategy<Value = Schedule> {
    let zone = proptest::sample::select(&["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]);
    let days = proptest::sample::subsequence(vec!["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], 1..=7);
    (days, 0..24 * 60u16, 1..24 * 60u16, zone).prop_map(|(days, from, length, zone)| {
        let to = (from + length) % (24 * 60);
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("{} {}-{} {zone}", days.join(","), clock(from), clock(to)).parse().unwrap()
    })
}

fn membership() -> impl Strategy<Value = Op> {
    let renamed = prop_oneof![
        Just(Renamed::Network),
        a_name().prop_map(Renamed::User),
        bytes32().prop_map(|node| Renamed::Node(NodeId(node))),
    ];
    prop_oneof![
        bytes32().prop_map(|key| Op::RevokeInvite(RevokeInvite { key: InviteKey(key) })),
        (a_name(), role()).prop_map(|(user, role)| Op::SetRole(SetRole { user, role })),
        a_name().prop_map(|user| Op::RemoveUser(RemoveUser { user })),
        (renamed, a_name()).prop_map(|(what, to)| Op::Rename(Rename { what, to })),
    ]
}

fn rights() -> impl Strategy<Value = Op> {
    let when = proptest::option::of(schedule());
    prop_oneof![
        (a_name(), a_name(), capabilities(), when, any::<Option<u64>>()).prop_map(
            |(user, resource, can, when, until)| Op::Grant(Grant { user, resource, can, when, until })
        ),
        (a_name(), a_name()).prop_map(|(user, resource)| Op::RevokeGrant(RevokeGrant { user, resource })),
        vec(address(), 0..9).prop_map(|managers| Op::SetManagers(SetManagers { managers })),
        bytes32().prop_map(|state| Op::Checkpoint(Checkpoint { state: Hash(state) })),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let join = (bytes32(), record(), a_name(), signature()).prop_map(|(key, record, name, proof)| {
        Op::Join(Join { invite: InviteKey(key), record, name, proof })
    });
    let unknown = (18..=u16::MAX, any::<bool>(), vec(any::<u8>(), 0..80))
        .prop_map(|(code, critical, payload)| Op::Unknown { code, critical, payload });
    prop_oneof![
        genesis(),
        invite(),
        join,
        publish(),
        membership(),
        rights(),
        bytes32().prop_map(|node| Op::RemoveNode(RemoveNode { node: NodeId(node) })),
        a_name().prop_map(|name| Op::Withdraw(Withdraw { name })),
        unknown,
    ]
}

pub(crate) fn draft() -> impl Strategy<Value = Draft> {
    let header = (network(), bytes32(), bytes32(), bytes32()).prop_map(|(network, prev, op, author)| {
        Header { network, prev: Hash(prev), op: Hash(op), author: NodeId(author) }
    });
    let body = (op(), any::<[u8; BLIND_LEN]>())
        .prop_map(|(op, blind)| Body { op: op.to_bytes(), blind: Blind(blind) });
    (header, signature(), proptest::option::of(body)).prop_map(|(header, signature, body)| Draft {
        header,
        signature,
        body,
    })
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    (draft(), any::<u64>(), any::<u64>(), bytes32(), signature()).prop_map(
        |(draft, seq, time, manager, signature)| Entry {
            draft,
            stamp: Stamp { seq, time, manager: StampKey(manager), signature },
        },
    )
}

pub(crate) fn hello() -> impl Strategy<Value = node::Hello> {
    (any::<u16>(), network(), any::<u64>(), bytes32(), any::<u64>()).prop_map(
        |(version, network, seq, head, features)| node::Hello {
            version,
            network,
            seq,
            head: Hash(head),
            features,
        },
    )
}

pub(crate) fn stream_request() -> impl Strategy<Value = node::Request> {
    let open =
        (a_name(), any::<bool>()).prop_map(|(resource, probe)| node::Request::Open { resource, probe });
    prop_oneof![open, Just(node::Request::Ping), a_name().prop_map(node::Request::Exchange)]
}

pub(crate) fn reply() -> impl Strategy<Value = node::Reply> {
    let refused = (any::<u32>(), ".{0,60}").prop_map(|(code, reason)| node::Reply::Refused { code, reason });
    prop_oneof![Just(node::Reply::Ok), refused]
}

pub(crate) fn asked() -> impl Strategy<Value = manager::Request> {
    use manager::Request;
    prop_oneof![
        (network(), bytes32(), signature()).prop_map(|(network, invite, proof)| Request::Head {
            network,
            invite: InviteKey(invite),
            proof
        }),
        draft().prop_map(Request::Append),
        (network(), any::<u64>()).prop_map(|(network, from)| Request::Fetch { network, from }),
        (network(), vec(socket(), 0..20))
            .prop_map(|(network, candidates)| Request::Register { network, candidates }),
        (network(), bytes32(), any::<bool>()).prop_map(|(network, node, relay)| Request::Dial {
            network,
            node: NodeId(node),
            relay
        }),
        network().prop_map(|network| Request::Presence { network }),
        (network(), proptest::option::of(any::<u32>()))
            .prop_map(|(network, month)| Request::Usage { network, month }),
        (network(), any::<u64>()).prop_map(|(network, token)| Request::Probe { network, token }),
    ]
}

pub(crate) fn answered() -> impl Strategy<Value = manager::Response> {
    use manager::Response;
    let head = || (any::<u64>(), bytes32().prop_map(Hash));
    prop_oneof![
        (head(), proptest::option::of(bytes32().prop_map(Hash)))
            .prop_map(|((seq, head), view)| Response::Head { seq, head, view }),
        entry().prop_map(|entry| Response::Stamped(Box::new(entry))),
        head().prop_map(|(seq, head)| Response::Conflict { seq, head }),
        entry().prop_map(|entry| Response::Entry(entry.to_bytes())),
        (socket(), head()).prop_map(|(observed, (seq, head))| Response::Registered { observed, seq, head }),
        dialled(),
        (bytes32(), vec(socket(), 0..9), proptest::option::of(any::<u64>())).prop_map(
            |(node, candidates, channel)| Response::Ring { node: NodeId(node), candidates, channel }
        ),
        usage(),
        any::<(u64, u64)>().prop_map(|(used, limit)| Response::Quota { used, limit }),
        (any::<u64>(), proptest::option::of(any::<u16>()))
            .prop_map(|(time, port)| Response::Probed { time, port }),
        vec((bytes32().prop_map(NodeId), any::<u64>()), 0..9).prop_map(Response::Online),
        (".{0,20}", ".{0,40}").prop_map(|(code, message)| Response::Failed { code, message }),
    ]
}

fn dialled() -> impl Strategy<Value = manager::Response> {
    let found = (any::<bool>(), vec(socket(), 0..9), any::<u64>());
    let relayed = (proptest::option::of(any::<u64>()), proptest::option::of(".{0,20}"));
    (found, relayed).prop_map(|((online, candidates, last_seen), (channel, refused))| {
        manager::Response::Dialled { online, candidates, last_seen, channel, refused }
    })
}

fn usage() -> impl Strategy<Value = manager::Response> {
    let plan = (proptest::option::of(".{0,20}"), proptest::option::of(any::<u64>()));
    let days = vec(any::<(u8, u64)>().prop_map(|(day, bytes)| manager::DayUsage { day, bytes }), 0..5);
    let node = (bytes32(), any::<u64>(), any::<u64>())
        .prop_map(|(node, sent, received)| manager::NodeUsage { node: NodeId(node), sent, received });
    (any::<(u32, u64, bool, bool)>(), plan, days, vec(node, 0..5)).prop_map(
        |((month, used, whole, more), (plan, limit), days, nodes)| manager::Response::Usage {
            month,
            plan,
            limit,
            used,
            whole,
            days,
            nodes,
            more,
        },
    )
}
