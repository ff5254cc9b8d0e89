//! The pages in `docs/` say what is so: links lead somewhere, and numbers, codes, bytes and messages are those of
//! the programs. What the pages say of figures is compared with a running manager in `manager/tests/metrics.rs`, and
//! with a daemon in `tests/surroundings/metrics.rs`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod blocks;
mod constants;
mod limits;
mod links;
mod messages;
mod pages;
mod tables;
