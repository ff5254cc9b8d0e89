//! Waiting for what can be observed.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// What may take long on a busy machine and is not what the test is about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Ask until `look` finds something, at most for `within`. An error is why not yet.
pub(crate) fn until<T>(what: &str, within: Duration, look: impl FnMut() -> Result<T, String>) -> T {
    until_since(Instant::now(), what, within, look)
}

/// As [`until`], with a deadline that counts from `since`.
pub(crate) fn until_since<T>(
    since: Instant,
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    loop {
        let began = since.elapsed();
        match look() {
            Ok(found) => return found,
            // A look that began in time counts, however long it took.
            Err(reason) if began > within => panic!("not within {within:?}: {what}: {reason}"),
            Err(_) => sleep(LOOK),
        }
    }
}

/// The answer of a look at something that is either so or not.
pub(crate) fn is(so: bool, otherwise: impl ToString) -> Result<(), String> {
    if so { Ok(()) } else { Err(otherwise.to_string()) }
}
