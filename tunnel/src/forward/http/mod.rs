//! HTTP/1, forwarded message by message.
pub mod chunked;
pub mod framing;
pub mod head;
pub mod judge;
pub mod names;
pub mod path;
pub mod refusal;
pub mod rewrite;

/// x
pub const HEAD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
