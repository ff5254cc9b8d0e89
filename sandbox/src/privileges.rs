//! Rights over the system: none are kept, and none can come back.

use std::io;

use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::{EnterError, Layer, State};

/// More capabilities than any kernel has; it is asked for each one up to here until it knows no more.
const CAPABILITIES_MAX: u32 = 64;

/// Capabilities that a daemon keeps, as far as it has them. Usually none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// To bind ports below 1024.
    pub low_ports: bool,
    /// To see which programs of other users hold a socket.
    pub look_into_processes: bool,
}

impl Capabilities {
    fn set(self) -> CapabilitySet {
        let mut set = CapabilitySet::empty();
        if self.low_ports {
            set |= CapabilitySet::NET_BIND_SERVICE;
        }
        if self.look_into_processes {
            set |= CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
        }
        set
    }
}

/// Whether this thread has some capability.
pub fn has_capabilities() -> io::Result<bool> {
    let sets = capabilities(None)?;
    Ok(!(sets.effective | sets.permitted | sets.inheritable).is_empty())
}

pub(crate) fn no_new(wanted: bool) -> Result<State, EnterError> {
    if !wanted {
        return Ok(State::Off);
    }
    set_no_new_privs().map_err(|errno| EnterError::System(Layer::Privileges, errno.into()))?;
    Ok(State::InForce)
}

pub(crate) fn no_dumps(wanted: bool) -> Result<State, EnterError> {
    if !wanted {
        return Ok(State::Off);
    }
    let failed = |errno: nix::Error| EnterError::System(Layer::Dumps, errno.into());
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed)?;
    set_dumpable(false).map_err(failed)?;
    Ok(State::InForce)
}

pub(crate) fn drop_all_but(keeps: &Capabilities, wanted: bool) -> Result<State, EnterError> {
    if !wanted {
        return Ok(State::Off);
    }
    drop_capabilities(keeps.set()).map_err(|error| EnterError::System(Layer::Capabilities, error))
}

fn drop_capabilities(kept: CapabilitySet) -> io::Result<State> {
    let held = capabilities(None)?;
    let kept = kept & held.permitted;
    for number in 0..CAPABILITIES_MAX {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            // Past the last one this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
            Ok(true) if !kept.contains(one) => match remove_capability_from_bounding_set(one) {
                // An ordinary user may not. No program gets new rights here, so that there is nothing to bound.
                Ok(()) | Err(rustix::io::Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            },
            Ok(true | false) => {}
        }
    }
    match clear_ambient_capability_set() {
        // A kernel without them has none to clear.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: none };
    // A service manager may have taken them all, and the right to change them.
    if held != sets {
        match set_capabilities(None, sets) {
            Ok(()) => {}
            Err(rustix::io::Errno::PERM) => {
                return Ok(State::Missing("whoever started this forbids giving them up".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(if kept.is_empty() { State::InForce } else { State::Partly(format!("keeps {}", names(kept))) })
}

fn names(set: CapabilitySet) -> String {
    let names: Vec<String> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.join(", ")
}
