//! Which applications of this machine may use a tunnel's listener.
//!
//! A port of 127.0.0.1 is there for every program of the machine, of every user. So before a byte of a
//! connection is forwarded, the kernel is asked whose socket is at its other end ([`owner`]), and a list of
//! [`Rule`]s says whether that one may: without a list, only the user the daemon runs as. A list takes the
//! place of that: `exe:` could not keep another program of the same user out otherwise, and `uid:self` puts
//! the user back.
//!
//! *When.* Once, when the connection is accepted, or a UDP client's first datagram has come. A client that has
//! closed its socket by then is nobody's, and is refused: one that sends and does not wait may be. Who may
//! connect may hand the socket on, or execute another program with it: from then on it is theirs to guard. The
//! other way round, who connects and becomes an allowed program before the look is let in, with what it has sent:
//! `exe:` keeps out programs that mean no harm and those that cannot execute the allowed one, no more.
//! *Who holds it.* A socket belongs to the user who made it, whoever holds it since; one that came to a unix
//! socket, to the user who connected it ([`unix_owner`]). `exe:` and `unit:` look
//! at every process that holds it when it is judged, and each must fit; a process that this daemon may not
//! look into (of another user, unless it runs as root) fits no such rule. The daemon itself can look into none,
//! for its sandbox forbids that; a process of its own does ([`crate::lookups`]).

mod process;
mod rule;
mod socket;
mod unix;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lookups;
pub use rule::{RULES_MAX, Rule, RuleError, Rules};
pub use socket::{Owner, Transport, owner};
pub use unix::unix_owner;

/// The rules of one listener, and what they have refused.
#[derive(Debug)]
pub struct Access {
    rules: Rules,
    refused: AtomicU64,
}

/// Why an application may not.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No rule fits.
    #[error("uid {uid} is not allowed")]
    NotAllowed {
        /// Whose socket it is.
        uid: u32,
    },
    /// The system could not say whose socket it is; nobody is let in unseen.
    #[error("the system does not tell whose socket it is")]
    Unknown(#[source] io::Error),
}

impl Access {
    /// By these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, refused: AtomicU64::new(0) }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Judge the owner of a socket that talks to this process, as [`owner`] told.
    pub async fn judge(&self, owner: io::Result<Owner>) -> Result<(), Refusal> {
        let judged = self.look(owner).await;
        if judged.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        judged
    }

    async fn look(&self, owner: io::Result<Owner>) -> Result<(), Refusal> {
        let owner = owner.map_err(Refusal::Unknown)?;
        if self.rules.fit_number(owner.uid) {
            return Ok(());
        }
        if self.rules.look_at_names() && self.told(lookups::user_fits(owner.uid, &self.rules).await) {
            return Ok(());
        }
        if self.rules.look_at_processes() && self.told(lookups::holders_fit(owner.inode, &self.rules).await) {
            return Ok(());
        }
        Err(Refusal::NotAllowed { uid: owner.uid })
    }

    /// Who is not known is not let in.
    fn told(&self, fits: io::Result<bool>) -> bool {
        fits.unwrap_or_else(|error| {
            tracing::warn!(rules = ?self.rules.texts(), %error, "cannot look up who may use a tunnel");
            false
        })
    }
}

/// Whether there are processes that hold the socket `inode`, and all of them fit some of `rules`. It reads a
/// file for every descriptor there is.
pub(crate) fn holders_fit(inode: u64, rules: &Rules) -> bool {
    let holders = process::holders(inode);
    !holders.is_empty() && holders.iter().all(|holder| rules.fit_process(holder))
}
