//! The ledger: the network's membership and resources as a chain of signed entries.
//!
//! An author drafts an [`Op`] on top of the head it knows ([`Ledger::draft`]). The manager checks the
//! draft as every member will ([`Ledger::admit`]) and stamps it with a sequence number and a time
//! ([`stamp`]). Members append the entry ([`Ledger::append`]): it must name the network and the
//! parent, follow in sequence, not go back in time, be signed by its author and stamped by a manager
//! the network names, and its op must be allowed to its author by the [`State`] at the parent.
//! Nothing else changes the state, so every member that has the same head has the same state.
//!
//! An owner may vouch for the state so far by a checkpoint; a copy that was verified before is loaded again
//! on its word ([`load`]).
//!
//! An entry's hash covers the *hash* of its op. A body can be left out for a reader who may not see it
//! without breaking the chain: that is how guests see it ([`view`]). The hash is taken together with a
//! [`Blind`], which is in the [`Body`] and left out with it: a guest who guesses `withdraw attic` has nothing
//! to compare with. This crate has no randomness; who drafts brings it.

mod apply;
pub mod archive;
mod chain;
mod entry;
mod op;
mod state;
mod validate;
pub mod view;
mod violation;

pub(crate) use chain::join_draft;
pub use chain::{Ledger, Reject, load};
pub use entry::{BLIND_LEN, Blind, Body, Draft, ENTRY_MAX, Entry, Header, OP_MAX, Stamp, stamp};
pub use op::{
    Checkpoint, Code, Genesis, Grant, Invite, Join, MANAGERS_MAX, NetworkKind, Op, Publish, Purpose,
    RemoveNode, RemoveUser, Rename, Renamed, RevokeGrant, RevokeInvite, SetManagers, SetRole, Withdraw,
    join_message,
};
pub use state::{
    Access, GrantState, InviteState, LEDGER_INVITES_MAX, LEDGER_NODES_MAX, LEDGER_USERS_MAX,
    NODE_RESOURCES_MAX, Node, NodeKind, Removal, Resource, Standing, State, USER_GRANTS_MAX, User,
};
pub use violation::Violation;
