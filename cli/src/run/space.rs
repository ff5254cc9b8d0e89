//! The namespaces: a network of nothing but a loopback interface, for this user alone.
//!
//! A user namespace gives this process the right to make the others, and to use ports below 1024 there. In
//! it only this user and its group exist, under their own numbers, so that a program inside has the files
//! it has outside. Process numbers are those of the next process that is started.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;

use coconet::control::ErrorKind;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use nix::unistd::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, set_capabilities,
};

use crate::fail::Fail;

/// What process 1 needs until everything is in its place: to mount, and to give up what could be regained.
const FOR_PROCESS_1: [CapabilitySet; 2] = [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP];

/// What making sockets needs: the low ports, and interfaces.
const FOR_SOCKETS: CapabilitySet = CapabilitySet::NET_BIND_SERVICE.union(CapabilitySet::NET_ADMIN);

/// The number of a new namespace's loopback interface.
const LOOPBACK: i32 = 1;

/// Leave the machine's network.
pub(super) fn enter() -> Result<(), Fail> {
    let (uid, gid) = (geteuid(), getegid());
    let spaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    unshare(spaces).map_err(|error| forbidden(error.into()))?;
    // Who may not choose its groups may not give any up, either: some keep others out.
    fs::write("/proc/self/setgroups", "deny").map_err(forbidden)?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).map_err(forbidden)?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).map_err(forbidden)?;
    bring_up(LOOPBACK).map_err(forbidden)?;
    // For `ping` without privileges. A kernel without it may do without.
    let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", format!("{gid} {gid}"));
    hand_down().map_err(|error| forbidden(error.into()))
}

/// Let the next program that is started keep what it needs: without this, a user who is not root loses
/// everything by that.
fn hand_down() -> rustix::io::Result<()> {
    let own = capabilities(None)?;
    let wanted = FOR_PROCESS_1[0] | FOR_PROCESS_1[1];
    set_capabilities(None, CapabilitySets { inheritable: own.inheritable | wanted, ..own })?;
    FOR_PROCESS_1.iter().try_for_each(|one| configure_capability_in_ambient_set(*one, true))
}

/// Give up all rights over the namespaces but those that sockets need.
pub(super) fn keep_what_sockets_need() -> Result<(), Fail> {
    let only = CapabilitySets {
        effective: FOR_SOCKETS,
        permitted: FOR_SOCKETS,
        inheritable: CapabilitySet::empty(),
    };
    clear_ambient_capability_set()
        .and_then(|()| set_capabilities(None, only))
        .map_err(|error| Fail::failed("cannot give up capabilities").because(error))
}

fn forbidden(error: io::Error) -> Fail {
    let told = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let is = |path: &str, value: &str| told(path).is_some_and(|text| text == value);
    let fail = Fail::new(ErrorKind::NotPermitted, "this system does not let you make namespaces");
    let fail = fail.because(&error);
    let errno = error.raw_os_error().map(Errno::from_raw);
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        fail.hint("as root: sysctl -w kernel.unprivileged_userns_clone=1")
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        fail.hint(
            "give cococtl an AppArmor profile with the rule \"userns,\" (see cococtl(1)), or as root: sysctl -w \
             kernel.apparmor_restrict_unprivileged_userns=0",
        )
    } else if errno == Some(Errno::ENOSPC) {
        fail.hint("there are as many as may be; as root: sysctl -w user.max_user_namespaces=10000")
    } else {
        fail.hint("user namespaces are needed; a container may forbid them to what runs in it")
    }
}

/// Bring an interface up: `RTM_NEWLINK` (rtnetlink(7)), acknowledged.
fn bring_up(interface: i32) -> io::Result<()> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        Some(SockProtocol::NetlinkRoute),
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    sendto(netlink.as_raw_fd(), &up_request(interface), &kernel, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // An acknowledgement is an error of number 0, behind the header.
    let number = answer[..length].get(16..20).and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(-number)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn up_request(interface: i32) -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    // struct nlmsghdr: length, type, flags, sequence number, port.
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family and type are of no interest; index, flags, and which flags change.
    message.extend([0; 4]);
    message.extend(interface.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_the_length_that_it_says() {
        let request = up_request(LOOPBACK);
        assert_eq!(request.len(), 32);
        assert_eq!(request[..4], 32_u32.to_ne_bytes());
        assert_eq!(request[20..24], LOOPBACK.to_ne_bytes());
    }
}
