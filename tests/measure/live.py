# SPDX-License-Identifier: Apache-2.0
"""What it costs to look at what runs: `capprofctl top` where many containers are recorded, and `capprofctl why -- COMMAND`, next to strace(1)."""
import glob
import os
import pty
import shutil
import signal
import statistics
import subprocess
import threading
import time

from containers import Bundle, Place
from table import BARE, FLOOR, NOW, in_turns, run

# What `top` may take of one processor, in percent, and what `why` may slow a command down, to what strace does.
WANTED_TOP = 1
WANTED_WHY = 0.1

BUSYBOX = "/bin/busybox"
# Asks for a capability once, and then sleeps as most containers do most of the time.
SLEEPER = f"{BUSYBOX} chroot / {BUSYBOX} true; exec {BUSYBOX} sleep 3600"


class Sleepers:
    """Containers that sleep under runc and are observed. At the end all are gone."""

    def __init__(self, work, build, count):
        self.place = Place(work, "sleepers", "runc")
        self.environment = dict(self.place.environment, CAPPROF_MODE="observe")
        self.build, self.root, self.names = build, os.path.join(work, "sleepers-runtime"), []
        self.bundle = Bundle(os.path.join(work, "sleepers"), BUSYBOX)
        shutil.copy(BUSYBOX, os.path.join(self.bundle.path, "rootfs/bin/busybox"))
        self.bundle.write([BUSYBOX, "sh", "-c", SLEEPER])
        self.count = count

    def capprof(self, *arguments):
        run([self.build.capprof, "--root", self.root, *arguments], env=self.environment)

    def __enter__(self):
        try:
            for _ in range(self.count):
                name = self.place.name()
                self.names.append(name)
                self.capprof("run", "--detach", "--bundle", self.bundle.path, name)
            recorded = len(glob.glob(os.path.join(self.place.state, "recordings/*/armed.json")))
            assert recorded == self.count, f"{recorded} of {self.count} containers are recorded"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run([self.build.capprof, "--root", self.root, "delete", "--force", name], env=self.environment, stderr=subprocess.DEVNULL,
                           check=False)
        run([self.build.hook, "recover", "--state", self.place.state, "--unload"])
        left = glob.glob(os.path.join(self.place.state, "recordings/*"))
        assert not left, f"left: {left}"


def processor_time(pid):
    """Seconds that a process and those that it has started have taken, as long as all of them run (proc_pid_stat(5))."""
    parents, times = {}, {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(path.split("/")[2])
        parents[number], times[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    return sum(times.get(member, 0) for member in family) / os.sysconf("SC_CLK_TCK")


def top(build, sleepers, seconds):
    """Percent of one processor that `top` takes on a terminal of 40 lines; and whether it showed the containers."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(sleepers.environment, TERM="xterm")
        os.execv(build.ctl, [build.ctl, "top"])
    shown = bytearray()

    def drain():
        try:
            while data := os.read(terminal, 1 << 16):
                shown.extend(data)
        except OSError:
            pass  # the terminal's other end is closed

    reader = threading.Thread(target=drain, daemon=True)
    try:
        subprocess.run(["stty", "rows", "40", "columns", "160"], stdin=terminal, check=True)
        reader.start()
        # The first look at all of them is not what is measured.
        time.sleep(3)
        before, start = processor_time(child), time.monotonic()
        time.sleep(seconds)
        used = (processor_time(child) - before) / (time.monotonic() - start) * 100
        os.write(terminal, b"q")
        _, status = os.waitpid(child, 0)
        child = None
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(terminal)
    expected = f"{sleepers.count} recordings".encode()
    assert status == 0 and expected in shown and b"SYS_CHROOT" in shown, shown[-2000:].decode(errors="replace")
    return used


def live(table, work, build, count=100, rounds=3, seconds=20):
    with Sleepers(work, build, count) as sleepers:
        used = [top(build, sleepers, seconds) for _ in range(rounds)]
    table.row(f"top, {count} containers, of one processor", "%", {NOW: used}, WANTED_TOP)


def why(table, work, program, build, rounds, calls=100_000):
    """A command by itself, under `strace -f -e status=failed`, and under `why`: the column floor has strace."""
    if not shutil.which("strace"):
        table.skipped("why, to strace", "strace is not installed")
        return
    place = Place(work, "why", "runc")
    said = os.path.join(work, "strace")
    for name, command in (
        (f"{calls} system calls", [program, "bench-nocheck", str(calls)]),
        ("find", [BUSYBOX, "find", "/usr/share", "-xdev", "-newer", "/"]),
    ):
        found = in_turns(rounds, {
            BARE: lambda command=command: run(command).wall,
            FLOOR: lambda command=command: run(["strace", "-f", "-e", "status=failed", "-o", said, *command]).wall,
            NOW: lambda command=command: run([build.ctl, "why", "--", *command], env=place.environment).wall,
        })
        table.row(f"why, {name} (floor: strace)", "ms", found)
        slower = {label: [one / bare for one, bare in zip(values, found[BARE], strict=True)] for label, values in found.items() if label != BARE}
        table.row(f"why, {name}, to bare", "x", slower)
        ratio = [(ours - bare) / (strace - bare) for bare, strace, ours in zip(found[BARE], found[FLOOR], found[NOW], strict=True)]
        table.row(f"why, {name}, slowdown to strace's", "x", {NOW: [statistics.median(ratio)]}, WANTED_WHY)
