//! What a daemon in a sandbox asks the machine, by two processes of its own.
//!
//! Three answers are in files that the sandbox closes: which addresses a host has, which users a name or a group
//! stands for (both by the C library, with libraries and files of its own choice), and which programs hold a
//! socket (which Landlock lets nobody see who is behind it). So before the daemon closes the door it starts
//! two processes, each of which can do one of these things and little else:
//!
//! - [`Helper::Names`] reads what names are resolved by (no home, no state directory), loads libraries and talks to
//!   name servers; it writes nothing, listens on nothing and has no capability.
//! - [`Helper::Processes`] reads `/proc`; it has no network and opens nothing for writing. Of root's daemon it
//!   keeps the right to look into other users' processes, and that alone.
//!
//! They speak JSON lines on a socket pair (`Question`, `Answer`) and end when the daemon does. A question is
//! a number or a name that was checked, an answer is addresses or yes or no: who takes over the daemon can
//! ask, and nothing more. A daemon without a sandbox answers itself.

mod answer;
mod client;
mod helper;

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;

use coco_tunnel::names;
use serde::{Deserialize, Serialize};

use crate::access::Rules;
use client::Client;
pub use client::{HelperError, Helpers};
pub use helper::{Helper, serve};

/// Longest question or answer, in bytes: a list of rules, each a path at most.
const LINE_MAX: u64 = 256 * 1024;

/// Most addresses of one host that are used.
const ADDRESSES_MAX: usize = 64;

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Question {
    /// The addresses of a host.
    Host {
        /// Its name.
        host: String,
        /// The port that goes with them.
        port: u16,
    },
    /// Whether sockets of a user fit the rules.
    User {
        /// The user.
        uid: u32,
        /// The rules.
        rules: Rules,
    },
    /// Whether all that hold a socket fit the rules.
    Holders {
        /// The socket.
        inode: u64,
        /// The rules.
        rules: Rules,
    },
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Answer {
    /// To a [`Question::Host`].
    Addresses(Vec<SocketAddr>),
    /// To the others.
    Fits(bool),
    /// The system does not tell.
    Failed(String),
}

impl Question {
    /// Who can answer it.
    fn helper(&self) -> Helper {
        match self {
            Self::Host { .. } | Self::User { .. } => Helper::Names,
            Self::Holders { .. } => Helper::Processes,
        }
    }
}

/// The helpers, of a daemon that has some. One pair for the process, as its sandbox is.
static CLIENT: OnceLock<Client> = OnceLock::new();

/// Let `helpers` answer from now on. Within a tokio runtime.
pub fn ask(helpers: Helpers) -> io::Result<()> {
    // There is one start, and so one pair.
    let _ = CLIENT.set(helpers.listen()?);
    names::ask_by(|host, port| {
        Box::pin(async move {
            match put(Question::Host { host, port }).await? {
                Answer::Addresses(addresses) => Ok(addresses),
                Answer::Fits(_) => Err(io::ErrorKind::InvalidData.into()),
                Answer::Failed(why) => Err(io::Error::other(why)),
            }
        })
    });
    Ok(())
}

/// Whether a helper has ended, after which its questions are not answered any more.
pub fn missing() -> Option<Helper> {
    CLIENT.get().and_then(Client::missing)
}

/// Whether sockets of `uid` fit some of `rules`.
pub(crate) async fn user_fits(uid: u32, rules: &Rules) -> io::Result<bool> {
    fits(Question::User { uid, rules: rules.clone() }).await
}

/// Whether there are processes that hold the socket, and all fit some of `rules`.
pub(crate) async fn holders_fit(inode: u64, rules: &Rules) -> io::Result<bool> {
    fits(Question::Holders { inode, rules: rules.clone() }).await
}

async fn fits(question: Question) -> io::Result<bool> {
    match put(question).await? {
        Answer::Fits(fits) => Ok(fits),
        Answer::Addresses(_) => Err(io::ErrorKind::InvalidData.into()),
        Answer::Failed(why) => Err(io::Error::other(why)),
    }
}

async fn put(question: Question) -> io::Result<Answer> {
    match CLIENT.get() {
        Some(client) => client.ask(question).await,
        None => {
            tokio::task::spawn_blocking(move || answer::answer(&question)).await.map_err(io::Error::other)
        }
    }
}
