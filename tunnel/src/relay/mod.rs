//! A relay that cannot read.
//!
//! Two nodes that find no direct path send each other *relay frames* ([`frame`]) by way of a third machine,
//! over the very sockets that carry their QUIC: the first byte tells the two apart. What is in a data frame is
//! one QUIC datagram, encrypted end to end.
//!
//! In the order of life of a channel: its owner, a manager today, asks [`SwitchControl::open`] for one between
//! two [`End`]s whose addresses it has seen authenticated, and gives each node its own id. From then on
//! the [`Switch`], which belongs to whoever receives from the socket, forwards what comes from one end to the
//! other ([`Switch::forward_into`]), a whole received batch at a time: one lookup, one check, one addition to the
//! [`Meter`]s and the [`Budget`], eight bytes rewritten in each packet, one send or less ([`serve::Outbox`]). A node that comes
//! from elsewhere is a [`Stranger`] until the owner says [`SwitchControl::rebind`]. A channel ends by
//! [`SwitchControl::close`], or by itself after [`IDLE`].
//!
//! Nothing here knows networks, ledgers or accounts: whoever may open channels can be a relay.

mod control;
pub mod frame;
pub mod serve;
mod switch;

pub use control::{
    Budget, COMMANDS, Counters, End, MAX_CHANNELS, MAX_PER_NODE, Meter, STRANGERS, Stranger, SwitchControl,
    SwitchError, canonical,
};
pub use switch::{ANSWERS_PER_SECOND, IDLE, Outlet, STRANGER_EVERY, Switch, switch};
