//! RTSP through a tunnel: real cameras and real players in every combination, and a scripted camera with every
//! oddity that cameras have.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "tests say what they have measured")]

mod age;
mod cameras;
mod dialogue;
mod grants;
mod login;
mod logins;
mod matrix;
mod players;
mod quirks;
mod rtp;
mod scripted;
mod share;
mod stage;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod table;
mod viewer;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../paths/world.rs"]
mod world;
