//! The filter itself, by the numbers of this processor.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::Calls;
use crate::{EnterError, State};

/// Refused altogether.
const REFUSED: &[i64] = &[
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Other namespaces, other roots, other mounts.
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // The kernel's interfaces that have been the way in most often.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_personality,
    libc::SYS_remap_file_pages,
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    // The machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_vhangup,
    // Who this process is.
    libc::SYS_capset,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
];

/// `kexec_file_load`, which the C libraries' headers leave out on some processors.
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: i64 = libc::SYS_kexec_file_load;
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
const KEXEC_FILE_LOAD: i64 = 294;

/// Refused altogether, where they exist.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// `clone` into a namespace of its own.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    // CLONE_NEWTIME stands where `clone` has the signal of the end, and cannot be asked for there.
    libc::CLONE_PTRACE,
];

/// Families of sockets that coco speaks.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// `TIOCSTI` and `TIOCLINUX`, alike on these processors: putting keystrokes into a terminal, as if somebody had
/// typed them. C libraries have types of their own for such numbers.
const KEYSTROKES: [u64; 2] = [0x5412, 0x541c];

/// `SHM_EXEC` of `shmat(2)`.
const SHM_EXEC: i32 = 0o100_000;

/// Set in the number of each call of the x32 ABI.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// The calls that have numbers of their own in the x32 ABI.
#[cfg(target_arch = "x86_64")]
const X32_OWN: std::ops::RangeInclusive<i64> = 512..=547;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

pub(super) fn enter(calls: Calls) -> Result<State, EnterError> {
    let failed = |error: BackendError| EnterError::Calls(error.into());
    let target = TargetArch::try_from(ARCH).map_err(failed)?;
    let refused = refused(calls).map_err(failed)?;
    let hidden = Rules::from([(libc::SYS_clone3, Vec::new())]);
    for (rules, errno) in [(refused, libc::EPERM), (hidden, libc::ENOSYS)] {
        let program = compile(rules, errno, target).map_err(failed)?;
        match apply_filter(&program) {
            Ok(()) => {}
            Err(seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) =>
            {
                return Ok(State::Missing("this kernel has no seccomp filters".to_owned()));
            }
            Err(error) => return Err(EnterError::Calls(error)),
        }
    }
    Ok(State::InForce)
}

fn compile(rules: Rules, errno: i32, target: TargetArch) -> Result<BpfProgram, BackendError> {
    let errno = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, errno, target)?.try_into()
}

fn refused(calls: Calls) -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    for call in REFUSED.iter().chain(REFUSED_HERE) {
        rules.insert(*call, Vec::new());
    }
    // Threads, and nothing else.
    let mut clones = vec![has_not(0, libc::CLONE_THREAD)?];
    for flag in NAMESPACES {
        clones.push(has(0, flag)?);
    }
    rules.insert(libc::SYS_clone, clones);
    rules.insert(libc::SYS_ioctl, KEYSTROKES.into_iter().map(|code| is(1, code)).collect::<Result<_, _>>()?);
    match calls {
        Calls::Daemon | Calls::Names => {
            for call in [libc::SYS_socket, libc::SYS_socketpair] {
                rules.insert(call, vec![none_of(0, &FAMILIES)?]);
            }
        }
        Calls::Reads => {
            for call in [libc::SYS_socket, libc::SYS_socketpair, libc::SYS_openat2, libc::SYS_truncate] {
                rules.insert(call, Vec::new());
            }
            // To write, or to make.
            let writes = [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC];
            let opens =
                |index| writes.into_iter().map(move |flag| has(index, flag)).collect::<Result<_, _>>();
            rules.insert(libc::SYS_openat, opens(2)?);
            #[cfg(target_arch = "x86_64")]
            {
                rules.insert(libc::SYS_open, opens(1)?);
                rules.insert(libc::SYS_creat, Vec::new());
            }
        }
    }
    match calls {
        Calls::Daemon | Calls::Reads => {
            for call in [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_pkey_mprotect] {
                rules.insert(call, vec![has(2, libc::PROT_EXEC)?]);
            }
            rules.insert(libc::SYS_shmat, vec![has(2, SHM_EXEC)?]);
        }
        // What asks for names is loaded when it is needed.
        Calls::Names => {}
    }
    #[cfg(target_arch = "x86_64")]
    {
        let doubled: Vec<_> = rules.keys().map(|call| X32 | call).collect();
        rules
            .extend(doubled.into_iter().chain(X32_OWN.map(|call| X32 | call)).map(|call| (call, Vec::new())));
    }
    Ok(rules)
}

fn is(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
    rule([(argument, SeccompCmpOp::Eq, value)])
}

/// All of the bits of `flag` are set.
fn has(argument: u8, flag: i32) -> Result<SeccompRule, BackendError> {
    let flag = u64::from(flag.cast_unsigned());
    rule([(argument, SeccompCmpOp::MaskedEq(flag), flag)])
}

/// None of them is.
fn has_not(argument: u8, flag: i32) -> Result<SeccompRule, BackendError> {
    let flag = u64::from(flag.cast_unsigned());
    rule([(argument, SeccompCmpOp::MaskedEq(flag), 0)])
}

fn none_of(argument: u8, values: &[i32]) -> Result<SeccompRule, BackendError> {
    rule(values.iter().map(|value| (argument, SeccompCmpOp::Ne, u64::from(value.cast_unsigned()))))
}

/// All of these hold. The kernel looks at the lower half of each of these arguments.
fn rule(conditions: impl IntoIterator<Item = (u8, SeccompCmpOp, u64)>) -> Result<SeccompRule, BackendError> {
    let conditions = conditions.into_iter().map(|(argument, operator, value)| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
