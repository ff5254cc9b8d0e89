//! System calls: those that a daemon has no use for, and an intruder has, fail with `EPERM`.
//!
//! A list of what is refused, for what is allowed would have to be known of every C library, version and
//! allocator there is. Refused are other programs and processes, other namespaces and mounts, the memory of
//! others, the kernel's own interfaces (modules, BPF, io_uring, keys, clocks, raw devices), what changes who
//! this process is, sockets of families that coco does not speak, keystrokes put into a terminal, and memory
//! that is executable and was not from the beginning.
//!
//! `clone3` hides its arguments, so it does not exist here (`ENOSYS`) and C libraries take `clone` instead.
//! On x86-64 each number has a second spelling, of the x32 ABI: refused as well.
//!
//! The numbers are known for 64-bit x86, ARM and RISC-V. Elsewhere the layer is missing, and said to be.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod filter;

/// Where no numbers are known.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod filter {
    use super::{Calls, EnterError, State};

    #[expect(clippy::unnecessary_wraps, reason = "as where there is one")]
    pub(super) fn enter(_: Calls) -> Result<State, EnterError> {
        let why = format!("no filter is known for {} processors", std::env::consts::ARCH);
        Ok(State::Missing(why))
    }
}

use crate::{EnterError, State};

/// Which system calls a process keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Calls {
    /// Those of a daemon.
    #[default]
    Daemon,
    /// Those of a process that asks the system for names: it loads libraries that know how.
    Names,
    /// Those of a process that only reads files: no sockets, and nothing opened for writing.
    Reads,
}

pub(crate) fn enter(calls: Calls, wanted: bool) -> Result<State, EnterError> {
    if wanted { filter::enter(calls) } else { Ok(State::Off) }
}
