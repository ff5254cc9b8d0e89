//! Sessions whose packets go inside TLS, on loopback: a node that knows no UDP address of its manager, a
//! manager that takes TLS, and what can stand between and beside them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod ends;
mod flood;
mod lines;
mod proxies;
