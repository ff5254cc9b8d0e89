//! Every bound that a peer can reach. What an operator may want to change is in [`crate::config::Limits`]
//! as well; these are its defaults.

use std::time::Duration;

/// Networks this manager keeps. Each costs memory for its state; further ones are refused as `busy`.
pub const NETWORKS_MAX: usize = 10_000;

/// Sessions at once. A node holds one; further ones are closed as `busy`.
pub const SESSIONS_MAX: usize = 10_000;

/// Sessions at once from one IPv4 address or one IPv6 /64: every app of every machine behind one home
/// or office NAT, but not the whole of [`SESSIONS_MAX`].
pub const SESSIONS_PER_SOURCE_MAX: usize = 256;

/// Streams of one session that are served at once; further ones wait, unread, at the client's expense.
pub const SESSION_STREAMS_MAX: usize = 16;

/// Requests of one session that are served at once without waiting.
pub const REQUEST_BURST: u32 = 200;

/// Pause between requests of one session once the burst is spent: fifty a second. Faster ones wait.
pub const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// Longest wait for the request on an opened stream.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for a client that does not read its answer.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A session without a stream for so long is closed. Nodes that stay register, and that keeps a stream.
pub const SESSION_IDLE: Duration = Duration::from_secs(60);

/// How long a removed node's streams have to deliver their last words before its session is closed.
pub const REVOKE_GRACE: Duration = Duration::from_secs(1);

/// Appends to one network that wait for the one being stored; further ones are refused as `busy`.
pub const APPENDS_WAITING_MAX: usize = 256;

/// Requests that wait for the desk. A full queue makes the sessions wait.
pub const DESK_QUEUE: usize = 1024;

/// Jobs that wait for the storage thread. A full queue makes whoever asks wait.
pub const STORAGE_QUEUE: usize = 1024;

/// Most writes that one transaction commits together.
pub const GROUP_COMMIT_MAX: usize = 256;

/// Rings and warnings that wait for a node that does not read its registered stream; further ones are
/// dropped, for whoever rings does so again.
pub const NOTICES_WAITING_MAX: usize = 32;

/// How long a node's relay channels stay open after its session has ended: longer than it takes to come back,
/// so that a blip on the way to the manager cuts nothing that is relayed.
pub const CHANNEL_GRACE: Duration = Duration::from_secs(60);

/// Bytes of entries read from the storage at a time while a fetch is answered; at least one entry.
pub const FETCH_PAGE_BYTES: usize = 256 * 1024;

/// Nodes in one [`Online`](coconet::wire::manager::Response::Online) message; 34 to 45 bytes each.
pub const ONLINE_CHUNK: usize = 1000;
