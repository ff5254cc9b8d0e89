"""Run a command under a filter of system calls: that of a systemd unit, or one that makes calls vanish.

usage: filtered.py --unit FILE -- CMD ARGS...
       filtered.py --vanish NAME,NAME -- CMD ARGS...     (as on a kernel that has not got them: ENOSYS)

systemd as process 1 is what would install a unit's SystemCallFilter= and RestrictAddressFamilies=. This does the
same with the sets that `systemd-analyze syscall-filter` tells.
"""

import ctypes
import errno
import os
import re
import struct
import subprocess
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]
HEADERS = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"]
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}


def numbers():
    header = next(path for path in HEADERS if os.path.exists(path))
    with open(header) as text:
        found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", text.read(), re.MULTILINE)
    return {name: int(number) for name, number in found}


def members(name):
    """The calls of a set, those of the sets in it included."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in told.stdout.splitlines()[1:]]
    return {call for line in lines if line and not line.startswith("#") for call in members(line)}


def values(unit, key):
    with open(unit) as text:
        return [line.split("=", 1)[1].split() for line in text.read().splitlines() if line.startswith(key + "=")]


def of_unit(unit):
    allowed = set()
    for words in values(unit, "SystemCallFilter"):
        takes = words[0].startswith("~")
        calls = set().union(*(members(word.lstrip("~")) for word in words))
        allowed = allowed - calls if takes else allowed | calls
    return allowed, {FAMILIES[family] for words in values(unit, "RestrictAddressFamilies") for family in words}


def statement(code, value, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, value)


def load(offset):
    return statement(0x20, offset)


def answer(value):
    return statement(0x06, value)


def equals(value, skip):
    """Go on if it is so, else skip so many statements."""
    return statement(0x15, value, 0, skip)


def install(program):
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, fprog, 0, 0) == 0, os.strerror(ctypes.get_errno())


def main():
    kind, what, dashes, *command = sys.argv[1:]
    assert dashes == "--"
    known = numbers()
    program = [load(4), statement(0x15, AUDIT_ARCH, 1, 0), answer(ALLOW), load(0)]
    if kind == "--vanish":
        for name in what.split(","):
            program += [equals(known[name], 1), answer(ERRNO | errno.ENOSYS)]
        program.append(answer(ALLOW))
    else:
        allowed, families = of_unit(what)
        socket = [load(16)]
        for family in sorted(families):
            socket += [equals(family, 1), answer(ALLOW)]
        socket.append(answer(ERRNO | errno.EAFNOSUPPORT))
        program += [equals(known["socket"], len(socket)), *socket]
        for name in sorted(allowed & known.keys()):
            program += [equals(known[name], 1), answer(ALLOW)]
        program.append(answer(ERRNO | errno.EPERM))
    install(program)
    os.execvp(command[0], command)


main()
