# SPDX-License-Identifier: Apache-2.0
"""Scenarios: each does something to a container while one of capprof's processes is harmed by strace's options, or only traced."""

import shlex

from points import Point, naming, took_place
from world import NEEDS

TRACE_ALL = "-e trace=all"


def options(point):
    return TRACE_ALL if point is None else f"-e trace={point.call} -e inject={point.inject}"


class Outcome:
    def __init__(self, ran=False, needs=NEEDS, container="c"):
        # True if the program that uses a capability ran: then a complete profile must name the capability.
        self.ran, self.needs, self.container = ran, needs, container
        self.problems = []
        self.log = ""

    def unless_told(self, call, what, point):
        """Makes sure that a failed call reports the reason, if it can, and does not panic."""
        status, _, errors = call
        is_mute = point is not None and point.lasting and point.call.startswith("write")
        if status is None:
            self.problems.append(f"{what} hangs")
        # Calls of Rust's start-up code before `main` are not capprof's.
        elif ("panicked" in errors or status == 101) and "alternative stack" not in errors:
            self.problems.append(f"{what} panics: {errors}")
        elif status not in (0, 137, -9) and not errors.strip() and not is_mute:
            self.problems.append(f"{what}: status {status} and not a word")


def create(world, point):
    """The shim while it makes a container."""
    outcome = Outcome()
    call = world.traced(world.command("capprof", "run", "--bundle", str(world.bundle), "c"), options(point))
    world.containers += 1
    outcome.ran = "ran" in call[1]
    outcome.unless_told(call, "run", point)
    outcome.log = world.take_log()
    outcome.problems += world.end("c")
    return outcome


def hook(name):
    def scenario(world, point):
        outcome = Outcome()
        world.trace_hook(name, options(point))
        call = world.run("c")
        world.trace_hook(name, None)
        outcome.ran = "ran" in call[1]
        outcome.unless_told(call, "run", point)
        outcome.log = world.take_log()
        outcome.problems += world.end("c")
        return outcome
    return scenario


def load(world, point):
    """The prestart hook that loads the eBPF programs."""
    world.call(world.command("capprofctl", "recover", "--unload"))
    return hook("prestart")(world, point)


def recover(world, point):
    """Recovery of a container whose poststop hook was killed."""
    outcome = Outcome()
    world.trace_hook("poststop", "-e trace=brk -e inject=brk:signal=KILL:when=1")
    _, output, _ = world.run("c")
    world.trace_hook("poststop", None)
    world.take_log()
    outcome.ran = "ran" in output
    world.trace_hook("recover", options(point))
    call = world.call(world.command("capprofctl", "recover"))
    world.trace_hook("recover", None)
    outcome.unless_told(call, "recover", point)
    outcome.log = world.take_log()
    outcome.problems += world.end("c")
    return outcome


def execute(world, point):
    """The shim while it puts a process into a container."""
    outcome = Outcome()
    world.detached("c")
    command = world.command("capprof", "exec", "c", "/bin/sh", "-c", "echo ran; exec /bin/corpus chown")
    call = world.traced(command, options(point))
    outcome.unless_told(call, "exec", point)
    outcome.log = world.take_log()
    # The container itself needs nothing.
    outcome.needs = NEEDS if "ran" in call[1] else []
    outcome.ran = True
    outcome.problems += world.end("c")
    return outcome


def handed_over(*arguments):
    """A call that capprof passes on to the runtime."""
    def scenario(world, point):
        outcome = Outcome(ran=True, needs=[])
        world.detached("c")
        outcome.unless_told(world.traced(world.command("capprof", *arguments), options(point)), arguments[0], point)
        outcome.log = world.take_log()
        outcome.problems += world.end("c")
        return outcome
    return scenario


def ctl(line):
    """A command of capprofctl that reads the store: it prints the usual output, or an error."""
    def scenario(world, point):
        outcome = Outcome(ran=True)
        world.run("c")
        command = world.command("capprofctl", *shlex.split(line.replace("BUNDLE", str(world.bundle))))
        _, expected, _ = world.call(command)
        call = status, output, errors = world.traced(command, options(point))
        outcome.unless_told(call, line, point)
        outcome.log = world.take_log()
        if status == 0 and output != expected and not errors.strip():
            outcome.problems.append(f"{line} says something else, and not why: {output!r} for {expected!r}")
        return outcome
    return scenario


SCENARIOS = {
    "create": create, "load": load, "prestart": hook("prestart"), "poststop": hook("poststop"), "recover": recover, "exec": execute,
    "kill": handed_over("kill", "c", "KILL"), "delete": handed_over("delete", "--force", "c"), "state": handed_over("state", "c"),
    "report": ctl("report last"), "list": ctl("list"), "merge": ctl("merge BUNDLE/capprof.json BUNDLE/capprof.json"),
}


def once_wrong(scenario, log):
    """Points at which something was wrong once: they are always tried."""
    if scenario == "create":
        # The container ran unrecorded: the shim could not see a bundle and assumed that the runtime would refuse it too.
        return [Point("readlink", 2, "EACCES", True), *naming(log, "statx", '/bundle",', "EACCES")]
    if scenario == "load":
        # A second bpffs hid the first one.
        return naming(log, "statfs", '"/sys/fs/bpf",', "EACCES")
    if scenario == "exec":
        # Without the configuration the shim looked for the container's limit in another directory.
        return [*naming(log, "openat", 'config.toml"', "EACCES"), *naming(log, "openat", 'config.toml"', "EIO")]
    if scenario == "recover":
        # To unlock failed, and recovery panicked.
        return naming(log, "flock", "", "ENOMEM")
    return []


# Scenarios that do not depend on the runtime.
OF_ONE_RUNTIME = ("report", "list", "merge")


def unharmed(world, scenario):
    """One undisturbed run, whose calls are enumerated; an error if that is not as it should be."""
    outcome = SCENARIOS[scenario](world, None)
    problems = outcome.problems + world.sweep() + world.left() + world.verdict(outcome.container, outcome.ran, outcome.needs)
    world.clear()
    if problems or not outcome.ran:
        raise RuntimeError(f"undisturbed: {problems or 'the program did not run'}")
    return outcome.log


def harmed(world, scenario, point):
    """The faults after this point, and whether strace did its part."""
    outcome = SCENARIOS[scenario](world, point)
    problems = list(outcome.problems)
    problems += world.sweep()
    problems += world.left()
    problems += world.verdict(outcome.container, outcome.ran, outcome.needs)
    problems += world.next_is_normal()
    return problems, took_place(outcome.log)
