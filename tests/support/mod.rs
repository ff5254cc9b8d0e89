//! A private network on this machine, made of the real programs, for one test.
//!
//! [`net::Net`] is a temporary directory with a running manager. [`net::Net::app`] starts a daemon in it
//! and [`net::Net::pair`] two that have a network; [`net::App`] drives its daemon by `cococtl`, as a user
//! would. What tunnels lead to is in [`targets`]. Whatever was started ends with the test, by its own
//! process id, and a test that fails prints the ends of all logs. Nothing sleeps and hopes:
//! [`wait::until`] asks until the answer is yes, or the deadline is over.

pub(crate) mod bytes;
pub(crate) mod net;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod targets;
pub(crate) mod wait;
