//! A network as a file describes it, and what it takes to get there.
//!
//! [`mod@file`] reads what is wanted, [`found`] holds what a daemon has shown, and [`plan`] compares the two:
//! it decides everything, without IO and with the time as an argument. `commands::network::apply` asks
//! the daemon and carries the steps out.

pub(crate) mod file;
pub(crate) mod found;
pub(crate) mod plan;

use coconet::grant::{Capabilities, Schedule};
use coconet::name::Name;

use crate::units;

/// A person and a resource: what a grant is known by.
pub(crate) type Between = (Name, Name);

/// What a guest may do with a resource, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) can: Capabilities,
    pub(crate) when: Option<Schedule>,
    pub(crate) until_ms: Option<u64>,
}

impl std::fmt::Display for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.can)?;
        self.when.as_ref().map_or(Ok(()), |when| write!(f, ", {when}"))?;
        self.until_ms.map_or(Ok(()), |until| write!(f, ", until {}", units::date(until)))
    }
}
