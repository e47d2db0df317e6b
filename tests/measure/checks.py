# SPDX-License-Identifier: Apache-2.0
"""The added cost of system calls: with one capability check, with a check and a recorded argument or port, and without a check."""
import os
import subprocess

from containers import Bundle, Place
from empty_program import Attached
from table import BARE, BEFORE, FLOOR, NOW, run

COMMANDS = {
    "bench-check": "a check",
    "bench-argument": "a check, its argument decides",
    "bench-port": "a port bound",
    "bench-nocheck": "no check",
}

# The largest added cost of a system call with a check, in ns; without capprof the call takes 161 ns.
WANTED = {"idle": 8, "another process": 13, "profiled process": 90}

# The largest added cost of recording the argument or the port, in ns; the earlier build records neither.
RECORDED_BESIDES = ("bench-argument", "bench-port")
WANTED_BESIDES = 10


class Calls:
    """The program that makes the calls and prints the time of one."""

    def __init__(self, work, program, count):
        self.program, self.count, self.work = program, str(count), work
        self.bundle = Bundle(os.path.join(work, "calls"), program)
        self.root = os.path.join(work, "runtime")

    def outside(self):
        return {name: nanoseconds([self.program, name, self.count]) for name in COMMANDS}

    def of(self, build, place):
        """One round of one build, which is loaded for it and unloaded afterwards."""
        def container(arguments, *options):
            self.bundle.write(arguments)
            name = place.name()
            return [build.capprof, "--root", self.root, "run", *options, "--bundle", self.bundle.path, name], name

        run(container(["/bin/corpus", "noop"])[0], env=place.environment)
        found = {"idle": self.outside()}
        command, name = container(["/bin/corpus", "wait"], "--detach")
        run(command, env=place.environment)
        found["another process"] = self.outside()
        run([build.capprof, "--root", self.root, "delete", "--force", name], env=place.environment)
        found["profiled process"] = {
            what: nanoseconds(container(["/bin/corpus", what, self.count])[0], place.environment) for what in COMMANDS
        }
        run([build.hook, "recover", "--state", place.state, "--unload"])
        return found


def nanoseconds(command, env=None):
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
    return float(output.split()[0])


def checks(table, work, program, builds, rounds, count=300_000):
    """Each round subtracts its own bare call, because the machine's clock drifts."""
    calls = Calls(work, program, count)
    places = {label: Place(work, f"checks-{label}", "runc") for label in builds}
    for label, build in builds.items():
        run([build.hook, "recover", "--state", places[label].state, "--unload"])
    bare, added, problem = [], {}, None
    for _ in range(rounds):
        without = calls.outside()
        bare.append(without["bench-check"])
        try:
            with Attached():
                floor = calls.outside()
            for what, taken in floor.items():
                added.setdefault(("idle", what), {}).setdefault(FLOOR, []).append(taken - without[what])
        except OSError as error:
            problem = error
        for label, build in builds.items():
            without = calls.outside()
            for who, found in calls.of(build, places[label]).items():
                for what, taken in found.items():
                    added.setdefault((who, what), {}).setdefault(label, []).append(taken - without[what])
    table.row("a call with a check, bare", "ns", {BARE: bare})
    if problem:
        table.skipped("an empty program at the tracepoint", problem)
    for (who, what), samples in added.items():
        name = f"added: {COMMANDS[what]}, {who}"
        if what not in RECORDED_BESIDES:
            table.row(name, "ns", samples, WANTED[who] if what == "bench-check" else 10)
        elif BEFORE in samples:
            table.row(name, "ns", samples, WANTED_BESIDES, lambda medians: medians[NOW] - medians[BEFORE])
        else:
            table.row(name, "ns", samples)
