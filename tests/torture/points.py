# SPDX-License-Identifier: Apache-2.0
"""System calls that a program makes, and the ways in which each of them can fail."""

import dataclasses
import re

FILE = ("EACCES", "EIO", "ENOMEM")
OPEN = (*FILE, "EMFILE", "ENOSPC")
MOUNT = ("EACCES", "ENOMEM")

# Errors that the kernel can return, by system call. Calls that are not here cannot fail, or only by a mistake of the caller: close(2) of a directory
# or of a synced file, and brk(2), which the C library calls before the program could report an error.
ERRORS = {
    "open": OPEN, "openat": OPEN, "openat2": OPEN, "memfd_create": ("EMFILE", "ENOMEM"), "pipe2": ("EMFILE",), "dup": ("EMFILE",), "fcntl": ("EMFILE", "EINTR"),
    "socket": ("EACCES", "EMFILE", "ENOMEM"), "connect": ("EACCES", "EINTR"), "sendto": ("ENOMEM", "EINTR"), "sendmsg": ("ENOMEM",), "recvfrom": ("EINTR", "ENOMEM"),
    "read": ("EIO", "EINTR"), "pread64": ("EIO", "EINTR"), "getdents64": ("EIO", "ENOMEM"), "readlink": FILE, "readlinkat": FILE, "getcwd": ("ENOMEM",),
    "getrandom": ("EINTR",),
    "write": ("EIO", "EINTR", "ENOSPC"), "writev": ("EIO", "ENOSPC"), "pwrite64": ("EIO", "ENOSPC"), "copy_file_range": ("EIO", "ENOSPC"), "ftruncate": ("EIO", "EINTR"),
    "fsync": ("EIO", "ENOSPC"), "lseek": ("EIO",),
    "rename": (*FILE, "ENOSPC"), "renameat": (*FILE, "ENOSPC"), "renameat2": (*FILE, "ENOSPC"), "mkdir": (*FILE, "ENOSPC"), "mkdirat": (*FILE, "ENOSPC"),
    "unlink": FILE, "unlinkat": FILE, "rmdir": FILE, "symlink": (*FILE, "ENOSPC"), "link": (*FILE, "ENOSPC"),
    "chmod": FILE, "fchmod": FILE, "fchmodat": FILE, "chown": FILE, "fchown": FILE, "fchownat": FILE, "utimensat": FILE,
    "stat": FILE, "lstat": FILE, "fstat": FILE, "newfstatat": FILE, "statx": FILE, "access": FILE, "faccessat": FILE, "faccessat2": FILE, "statfs": FILE, "fstatfs": FILE,
    "getxattr": FILE, "lgetxattr": FILE, "fgetxattr": FILE, "setxattr": (*FILE, "ENOSPC"), "fsetxattr": (*FILE, "ENOSPC"), "listxattr": FILE, "flistxattr": FILE,
    "flock": ("EINTR", "ENOMEM"), "ioctl": ("EIO", "ENOMEM"), "poll": ("EINTR", "ENOMEM"), "ppoll": ("EINTR", "ENOMEM"), "clock_nanosleep": ("EINTR",),
    "mmap": ("ENOMEM",), "mremap": ("ENOMEM",), "mprotect": ("ENOMEM",),
    "bpf": ("EACCES", "EINTR", "EMFILE", "ENOMEM"), "perf_event_open": ("EACCES", "EMFILE", "ENOMEM"),
    "unshare": ("EACCES", "ENOMEM"), "setns": ("EACCES", "ENOMEM"), "mount": MOUNT, "umount2": MOUNT, "open_tree": (*MOUNT, "EMFILE"), "move_mount": MOUNT,
    "mount_setattr": MOUNT, "fsopen": (*MOUNT, "EMFILE"), "fsconfig": MOUNT, "fsmount": (*MOUNT, "EMFILE"),
    "execve": ("EACCES", "EIO", "ENOMEM"), "clone": ("EAGAIN", "ENOMEM"), "clone3": ("EAGAIN", "ENOMEM"), "vfork": ("EAGAIN", "ENOMEM"), "fork": ("EAGAIN", "ENOMEM"),
    "wait4": ("EINTR",), "waitid": ("EINTR",), "pidfd_open": ("EMFILE", "ENOMEM"),
}

CALL = re.compile(r"(?:\d+ +)?(\w+)\(")


@dataclasses.dataclass(frozen=True)
class Point:
    """The N-th call of a kind, and its fate: an error, or the end of the process that is about to make it."""

    call: str
    number: int
    # The name of an error; None: the process is killed.
    error: str | None = None
    # True if every later call of this kind fails too.
    lasting: bool = False

    @property
    def inject(self):
        """The expression for `strace -e inject=`."""
        what = f"error={self.error}" if self.error else "signal=KILL"
        return f"{self.call}:{what}:when={self.number}{'+' if self.lasting else ''}"

    def __str__(self):
        what = f"fails with {self.error}" if self.error else "is never made: the process is killed"
        return f"{self.call} {self.number}{' and each later one' if self.lasting else ''} {what}"


def calls(log):
    """The calls in a log of strace, in order, as (name, number of that name so far)."""
    seen = {}
    found = []
    for line in log.splitlines():
        match = CALL.match(line)
        if match and " resumed>" not in line:
            name = match[1]
            seen[name] = seen.get(name, 0) + 1
            found.append((name, seen[name]))
    return found


def faults(log):
    """Each error once, and from then on; an interruption only once, because no kernel interrupts a call for ever."""
    return [Point(name, number, error, lasting) for name, number in calls(log) for error in ERRORS.get(name, ()) for lasting in ((False,) if error == "EINTR" else (False, True))]


def naming(log, call, text, error):
    """The calls of this name whose arguments hold the text, each failing once and from then on."""
    lines = [line for line in log.splitlines() if (match := CALL.match(line)) and match[1] == call and " resumed>" not in line]
    return [Point(call, number, error, lasting) for number, line in enumerate(lines, 1) if text in line for lasting in (False, True)]


def drawn(points, count, random):
    """A selection of this size: it takes each kind of call in turn, so that calls which are made a thousand times leave room for others."""
    kinds = {}
    for point in random.sample(points, len(points)):
        kinds.setdefault(point.call, []).append(point)
    found = []
    while len(found) < min(count, len(points)):
        for kind in random.sample(sorted(kinds), len(kinds)):
            if kinds[kind] and len(found) < count:
                found.append(kinds[kind].pop())
    return found


def kills(log):
    return [Point(name, number) for name, number in calls(log) if name not in ("exit_group", "exit")]


def took_place(log):
    """Returns true if strace has done its part to the call."""
    return "(INJECTED)" in log or "+++ killed by SIGKILL +++" in log
