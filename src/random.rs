//! Randomness from the operating system, and what to do when it has none.

use crate::fault::{Fault, Result};

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Fault::failed("the system gives no random numbers")
            .because(&error)
            .hint("getrandom(2) has to work for the daemon")
    })?;
    Ok(bytes)
}
