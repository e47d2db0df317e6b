# SPDX-License-Identifier: Apache-2.0
"""What the SELinux recorder takes to read a long audit log, as a whole: position, records, fence, sums, classification, profile."""
import json
import os
import shutil
import socket
import threading

from containers import EMPTY_RUNTIME, Parts
from table import FLOOR, compiled, in_turns, memory, run

WANTED = 1.3
LABEL = "capprof_t:s0:c1,c2-s0:c1,c2,c500,c501"
FENCE = "capprof fence "

# linux/netlink.h and linux/audit.h: what auditd does without the unicast stream.
NETLINK_AUDIT, GROUP_READLOG, AUDIT_USER_AVC, HEADER = 9, 1, 1107, 16

EVENT = (
    "type=AVC msg=audit(1795441500.475:{serial}): avc:  denied  {{ chown }} for  pid=160 comm=\"tool\" capability=0  "
    "scontext=system_u:system_r:{label} tcontext=system_u:system_r:{label} tclass={kind} permissive=1\n"
    "type=SYSCALL msg=audit(1795441500.475:{serial}): arch=c000003e syscall=92 success=yes exit=0 a0=7ffd a1=1 a2=1 a3=0 items=1 ppid=1 pid=160 "
    "auid=0 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=1 comm=\"tool\" exe=\"/usr/bin/tool\" "
    "subj=system_u:system_r:{label} key=(null)\x1dARCH=x86_64 SYSCALL=chown AUID=\"root\" UID=\"root\"\n"
    "type=PROCTITLE msg=audit(1795441500.475:{serial}): proctitle=746F6F6C00746573740066696C65\n"
)


def filled(path, size):
    """Writes a log in which one of a hundred events is the container's. Returns how many are."""
    number = written = 0
    with open(path, "wb") as file:
        while written < size:
            events = []
            for _ in range(1000):
                label, kind = (LABEL, "capability") if number % 100 == 0 else ("container_t:s0:c3,c4", "file")
                events.append(EVENT.format(serial=number, label=label, kind=kind))
                number += 1
            written += file.write("".join(events).encode())
    return number // 100


class Daemon:
    """Appends the fences to the log, as auditd would do."""

    def __init__(self, path):
        self.path, self.over = path, False
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
        self.socket.bind((0, GROUP_READLOG))
        self.socket.settimeout(0.1)
        self.thread = threading.Thread(target=self.write)

    def write(self):
        while not self.over:
            try:
                message = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            if int.from_bytes(message[4:6], "little") == AUDIT_USER_AVC:
                with open(self.path, "ab") as file:
                    file.write(b"type=USER_AVC msg=" + message[HEADER:].rstrip(b"\0") + b"\n")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.socket.close()


def armed(directory, log):
    """What arming would have left, had it been done before the first byte of the log."""
    status = os.stat(log)
    with open("/proc/self/stat") as file:
        start = int(file.read().rpartition(")")[2].split()[19])
    process = {"pid": os.getpid(), "start_time": start}
    state = {
        "directory": directory, "scope": "domain", "context": f"system_u:system_r:{LABEL}",
        "target": dict(zip(("type_", "range"), LABEL.split(":", 1), strict=True), fence=FENCE, user_namespace=False, armed=0),
        "position": {"path": log, "device": status.st_dev, "inode": status.st_ino, "offset": 0, "before": []},
        "listener": None, "daemon": 0, "lost": 0, "booted": 0, "booleans": [], "blind_spots": [], "refused": None,
    }
    report = {"recorder": "selinux", "recorded": True, "method": "audit log, scope domain", "scope": "domain", "refused": []}
    with open(os.path.join(directory, "armed.json"), "w") as file:
        json.dump({"init": process, "recorders": [{"report": report, "state": state}]}, file)


def logs(table, work, bundle, builds, rounds, size=1 << 30):
    """The column floor has `rg -F LABEL`, which looks at each byte once and does nothing with what it finds."""
    if not shutil.which("rg"):
        table.skipped("audit log", "rg is not installed")
        return
    compiled(EMPTY_RUNTIME, os.path.join(work, "empty-runtime"), "-static-pie")
    log, said = os.path.join(work, "audit.log"), os.path.join(work, "so-far")
    expected = filled(log, size)

    def of(label, build):
        one = Parts(work, f"log-{label}", build, bundle, None)
        create = [build.capprof, "--root", one.root, "create", "--bundle", bundle.path, one.place.name()]
        run(create, env=one.place.environment)
        directory = one.recording()
        armed(directory, log)
        return [build.hook, "so-far", "--state", one.place.state, directory]

    commands = {label: of(label, build) for label, build in builds.items()}

    def read(command):
        used = run(command, output=said)
        with open(said) as file:
            told = json.load(file)
        found = [row["count"] for row in told["rows"] if row["capability"] == "CAP_CHOWN"]
        assert found == [expected], f"{found}, not {expected}: {told['profile'].get('incomplete_because')}"
        return used

    with Daemon(log):
        found = in_turns(rounds, {
            FLOOR: lambda: run(["rg", "-c", "-F", LABEL, log]),
            **{label: lambda command=command: read(command) for label, command in commands.items()},
        })
        peaks = {label: [memory(command)] for label, command in commands.items()}
    name = f"audit log of {size >> 20} MiB (floor: rg)"
    table.row(f"{name}, wall", "s", {label: [used.wall / 1000 for used in values] for label, values in found.items()})
    table.row(f"{name}, processor", "s", {label: [used.processor / 1000 for used in values] for label, values in found.items()})
    ratios = {
        label: [one.processor / floor.processor for one, floor in zip(values, found[FLOOR], strict=True)]
        for label, values in found.items() if label != FLOOR
    }
    table.row("the log's processor time to rg's", "x", ratios, WANTED)
    table.row(f"{name}, peak memory", "MiB", peaks, 16)
    os.remove(log)
