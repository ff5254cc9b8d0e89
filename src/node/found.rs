//! Becoming a node: founding a network, or joining one by an invite.
//!
//! Both end the same way: the whole ledger is fetched and verified, and keys, network and ledger are on
//! the disk before the answer is given.

use coco_tunnel::endpoint::Endpoint;
use coco_tunnel::session::Session;
use coconet::id::NetworkId;
use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys, SEED_LEN};
use coconet::ledger::{Blind, Draft, Entry, Genesis, Invite, Ledger, NetworkKind, Op, Purpose};
use coconet::manager_addr::ManagerAddr;
use coconet::name::{NAME_MAX, Name};
use coconet::recovery::Recovery;
use coconet::wire::manager::{HEAD_DOMAIN, HEAD_EXPORT_LABEL, Request, Response};
use zeroize::Zeroizing;

use super::uplink::{self, Uplink};
use super::{Node, bind, book, manager};
use crate::clock;
use crate::daemon::jobs::Job;
use crate::fault::{ASK_OPERATOR, Fault, Result};
use crate::random;
use crate::store::EntryRow;

/// Tries to join while others join or write too.
const JOIN_TRIES: usize = 64;

/// Entries that are verified before other tasks have their turn: some ten milliseconds, where the entries are there
/// already.
const YIELD_AFTER: usize = 64;

/// How long the invite lives by which a recovery key, or its holder, joins: it is used at once.
const RECOVERY_INVITE_LIFE_MS: u64 = 10 * 60 * 1000;

/// A node that exists in its network's ledger and is not running yet.
#[derive(Debug)]
pub struct Founded {
    /// Its keys.
    pub keys: NodeKeys,
    /// Its endpoint, which its manager already knows.
    pub endpoint: Endpoint,
    /// The verified ledger.
    pub ledger: Ledger,
    /// Its entries.
    pub entries: Vec<EntryRow>,
}

/// Found a network at `manager`.
pub async fn create(
    name: &Name,
    user: Name,
    node_name: Name,
    manager: ManagerAddr,
    uplink: &Uplink,
    job: &mut Job,
) -> Result<Founded> {
    let keys = fresh_keys()?;
    let genesis = Genesis {
        name: name.clone(),
        kind: NetworkKind::User,
        owner: keys.record(),
        user,
        node_name,
        managers: vec![manager.clone()],
        salt: random::bytes()?,
    };
    let none = NetworkId(coconet::id::Hash::ZERO);
    let draft = Draft::new(&keys, none, none.0, &Op::Genesis(genesis), fresh_blind()?);
    let endpoint = bind(&keys, &uplink.listen, 0)?;
    let managers = std::slice::from_ref(&manager);
    let reached = job.while_asked(uplink::reach(&endpoint, managers, uplink)).await?;
    job.commit();
    match manager::ask(&reached.session, &Request::Append(draft)).await? {
        Response::Stamped(entry) => {
            let ledger = Ledger::begin(&entry)?;
            let entries = vec![row(&entry)];
            Ok(Founded { keys, endpoint, ledger, entries })
        }
        other => Err(manager::unexpected(other)),
    }
}

/// Join by `invitation`. When the proposed name is taken and `insist` is not set, another is made of it.
pub async fn join(
    invitation: &Invitation,
    name: &Name,
    insist: bool,
    uplink: &Uplink,
    job: &mut Job,
) -> Result<Founded> {
    let keys = fresh_keys()?;
    let endpoint = bind(&keys, &uplink.listen, 0)?;
    let reached = job.while_asked(uplink::reach(&endpoint, &invitation.managers, uplink)).await?;
    let session = &reached.session;
    job.commit();
    let joined = redeem(session, invitation, &keys, name, insist).await?;
    let (ledger, entries) = fetch_all(session, invitation.network, job, Some(joined + 1)).await?;
    if !ledger.state().nodes().contains_key(&keys.id()) {
        return Err(Fault::failed("the manager stamped the join, but the ledger it shows does not have it")
            .hint(ASK_OPERATOR));
    }
    if !ledger.withheld().is_empty() && ledger.state().guest(keys.id()).is_none() {
        return Err(Fault::failed(
            "the manager withholds entries of the ledger from a member that may see them",
        )
        .hint(ASK_OPERATOR));
    }
    Ok(Founded { keys, endpoint, ledger, entries })
}

/// Add a recovery key to the network of `node`, who must be an owner's.
pub async fn prepare_recovery(node: &Node) -> Result<Recovery> {
    let keys = fresh_keys()?;
    let secret = InviteSecret::from_seed(&random::bytes()?);
    let (ledger, expires) = (node.ledger(), node.now().saturating_add(RECOVERY_INVITE_LIFE_MS));
    let name = another(&Name::closest("recovery", "recovery"), &keys);
    let purpose = Purpose::Recovery;
    let invite =
        Invite { key: secret.key(), purpose, uses: 1, expires, node_name: Some(name.clone()), only: None };
    node.append(&Op::Invite(invite)).await?;
    let managers = ledger.state().managers().to_vec();
    let invitation = Invitation { network: node.network(), managers: managers.clone(), secret, expires };
    // The manager takes a join only from the keys that join.
    let endpoint = bind(&keys, &[], 0)?;
    let reached = uplink::reach(&endpoint, &managers, node.uplink()).await?;
    let joined = redeem(&reached.session, &invitation, &keys, &name, true).await;
    endpoint.close().await;
    joined.map(|_| Recovery { network: node.network(), managers, keys })
}

/// Join as the next app of the owner who holds `recovery`.
pub async fn recover(
    recovery: &Recovery,
    name: &Name,
    insist: bool,
    uplink: &Uplink,
    job: &mut Job,
) -> Result<Founded> {
    let endpoint = bind(&recovery.keys, &[], 0)?;
    let reached = job.while_asked(uplink::reach(&endpoint, &recovery.managers, uplink)).await?;
    let session = &reached.session;
    job.commit();
    let secret = InviteSecret::from_seed(&random::bytes()?);
    for _ in 0..JOIN_TRIES {
        let (ledger, _) = fetch_all(session, recovery.network, job, None).await?;
        let expires = clock::now_ms().max(ledger.time()).saturating_add(RECOVERY_INVITE_LIFE_MS);
        let purpose = Purpose::SelfApp;
        let invite =
            Op::Invite(Invite { key: secret.key(), purpose, uses: 1, expires, node_name: None, only: None });
        let draft = ledger.draft(&recovery.keys, &invite, fresh_blind()?);
        match manager::ask(session, &Request::Append(draft)).await? {
            Response::Stamped(_) => {
                let managers = ledger.state().managers().to_vec();
                let invitation = Invitation { network: recovery.network, managers, secret, expires };
                endpoint.close().await;
                return join(&invitation, name, insist, uplink, job).await;
            }
            Response::Conflict { .. } => {}
            other => return Err(manager::unexpected(other)),
        }
    }
    Err(Fault::timed_out("too many others change this network at the same time").hint("try again"))
}

/// Use the invite up; returns the number of the entry by which the node has joined.
async fn redeem(
    session: &Session,
    invitation: &Invitation,
    keys: &NodeKeys,
    name: &Name,
    insist: bool,
) -> Result<u64> {
    let proof = invitation.secret.sign(HEAD_DOMAIN, &session.export(HEAD_EXPORT_LABEL));
    let invite = invitation.secret.key();
    let asked = manager::ask(session, &Request::Head { network: invitation.network, invite, proof }).await;
    let mut head = match asked {
        Ok(Response::Head { head, .. }) => head,
        Ok(other) => return Err(manager::unexpected(other)),
        Err(fault) if fault.kind() == coconet::control::ErrorKind::NotAMember => {
            return Err(Fault::failed(
                "the manager does not take this invite: it is used up, expired, or of another network",
            )
            .hint("ask for a new invite: cococtl network invite NETWORK ..."));
        }
        Err(fault) => return Err(fault),
    };
    let mut name = name.clone();
    let mut renamed = false;
    for _ in 0..JOIN_TRIES {
        let draft = invitation.join(keys, head, &name, fresh_blind()?);
        match manager::ask(session, &Request::Append(draft)).await {
            Ok(Response::Stamped(entry)) => return Ok(entry.stamp.seq),
            Ok(Response::Conflict { head: newer, .. }) => head = newer,
            Ok(other) => return Err(manager::unexpected(other)),
            Err(fault) if fault.message().contains("is taken") && !insist && !renamed => {
                renamed = true;
                name = another(&name, keys);
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault::timed_out("too many others join at the same time").hint("try again"))
}

/// Fetch and verify a whole ledger, of so many entries as far as that is known.
async fn fetch_all(
    session: &Session,
    network: NetworkId,
    job: &Job,
    known: Option<u64>,
) -> Result<(Ledger, Vec<EntryRow>)> {
    job.verified(0, known);
    let mut channel = manager::open(session, &Request::Fetch { network, from: 0 }).await?;
    let (mut ledger, mut entries) = (None, Vec::new());
    loop {
        match manager::answer(&mut channel).await? {
            Response::Entry(bytes) => {
                let entry = book::decode(&bytes)?;
                ledger = Some(Ledger::follow_viewed(ledger, &entry)?);
                entries.push(EntryRow { seq: entry.stamp.seq, hash: entry.hash(), bytes });
                job.verified(entries.len(), known);
                if entries.len().is_multiple_of(YIELD_AFTER) {
                    tokio::task::yield_now().await;
                }
            }
            Response::Head { .. } => break,
            other => return Err(manager::unexpected(other)),
        }
    }
    let ledger: Option<Ledger> = ledger;
    match ledger.filter(|ledger| ledger.state().network() == network) {
        Some(ledger) => Ok((ledger, entries)),
        None => Err(Fault::failed("the manager shows the ledger of another network").hint(ASK_OPERATOR)),
    }
}

/// What hides a new entry's op from whoever may not read it.
pub(super) fn fresh_blind() -> Result<Blind> {
    Ok(Blind(random::bytes()?))
}

fn fresh_keys() -> Result<NodeKeys> {
    let seed = Zeroizing::new(random::bytes::<SEED_LEN>()?);
    Ok(NodeKeys::from_seed(&seed))
}

fn row(entry: &Entry) -> EntryRow {
    EntryRow { seq: entry.stamp.seq, hash: entry.hash(), bytes: entry.to_bytes() }
}

/// `name` with four characters of the node's id behind it.
fn another(name: &Name, keys: &NodeKeys) -> Name {
    let id = keys.id().full();
    let suffix: String = id.chars().skip(2).take(4).collect();
    let stem: String = name.as_str().chars().take(NAME_MAX - 5).collect();
    Name::closest(&format!("{stem}-{suffix}"), "node")
}
