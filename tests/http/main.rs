//! HTTP through whole daemons: what is refused, what is changed, and that nothing else is touched or held back.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../tunnel/src/forward/http/corpus.rs"]
mod corpus;
mod grants;
mod heads;
mod load;
mod origin;
mod streams;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
