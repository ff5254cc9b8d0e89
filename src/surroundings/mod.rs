//! The machine's place among others: what it is connected to, and what its neighbours and its router say.
//!
//! [`changes::Watcher`] looks at interfaces and routes ([`links`]) when the kernel says that something has
//! changed, once for the whole daemon. Who depends on them listens.

pub mod changes;
pub mod links;
