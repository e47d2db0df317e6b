# SPDX-License-Identifier: Apache-2.0
"""The cost of a container: as a whole, and of shim, prestart hook and poststop hook one by one."""
import copy
import glob
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile

from table import BARE, FLOOR, compiled, in_turns, memory, run, system_calls

# A program that does nothing: no replacement of a hook or of the shim can be faster.
EMPTY = "int main(void) { return 0; }"
# crun fails if a hook ends before crun has written the container's state to it.
EMPTY_HOOK = """
#include <unistd.h>
int main(void)
{
	char state[4096];
	while (read(0, state, sizeof(state)) > 0) {
	}
	return 0;
}
"""
# It replaces a runtime: the shim asks it for its version once and remembers the answer.
EMPTY_RUNTIME = """
#include <stdio.h>
#include <string.h>
int main(int count, char **arguments)
{
	return count == 2 && strcmp(arguments[1], "--version") == 0 ? printf("runc version 1.1.15\\n") < 0 : 0;
}
"""
EMPTY_SHIM = """
#include <unistd.h>
int main(int count, char **arguments)
{
	execvp(arguments[1], arguments + 1);
	return 127;
}
"""


def corpus(work):
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["make", "-s", "-C", os.path.join(here, "../corpus"), f"OUT={work}/corpus"], check=True)
    return os.path.join(work, "corpus/corpus")


class Bundle:
    """A container with one program and nothing else."""

    def __init__(self, path, program):
        self.path = path
        os.makedirs(os.path.join(path, "rootfs/bin"))
        for name in ("proc", "dev", "sys", "tmp"):
            os.makedirs(os.path.join(path, "rootfs", name))
        shutil.copy(program, os.path.join(path, "rootfs/bin/corpus"))
        subprocess.run(["runc", "spec"], cwd=path, check=True)
        with open(os.path.join(path, "config.json")) as file:
            self.config = json.load(file)
        self.config["process"]["terminal"] = False
        self.config["process"].pop("rlimits", None)
        self.config["linux"].pop("seccomp", None)
        self.config["mounts"] = [mount for mount in self.config["mounts"] if mount["destination"] != "/sys/fs/cgroup"]
        self.write(["/bin/corpus", "noop"])

    def write(self, arguments, padding=0, hook=None):
        config = copy.deepcopy(self.config)
        config["process"]["args"] = arguments
        config["annotations"] = {f"padding.{n}": "x" * 1000 for n in range(padding // 1000)}
        if hook:
            config["hooks"] = {name: [{"path": hook, "args": [hook]}] for name in ("prestart", "poststop")}
        with open(os.path.join(self.path, "config.json"), "w") as file:
            json.dump(config, file, indent=2)


class Place:
    """The state directory of a build, and the environment that configures it."""

    numbers = itertools.count()

    def __init__(self, work, name, runtime):
        self.path = os.path.join(work, f"{name}-{os.path.basename(runtime)}")
        os.makedirs(self.path)
        self.state = os.path.join(self.path, "run")
        configuration = os.path.join(self.path, "config.toml")
        with open(configuration, "w") as file:
            file.write(f'runtime = "{runtime}"\nstate = "{self.state}"\nstore = "{self.path}/store"\n')
        self.environment = dict(os.environ, CAPPROF_CONFIG=configuration)

    def name(self):
        return f"bench-{os.getpid()}-{next(self.numbers)}"


def whole(table, work, program, builds, count):
    """`run` of a trivial container: bare; bare with an empty shim and two empty hooks; and under each build."""
    empty = compiled(EMPTY_HOOK, os.path.join(work, "empty"), "-static-pie")
    shim = compiled(EMPTY_SHIM, os.path.join(work, "empty-shim"), "-static-pie")
    root = os.path.join(work, "runtime")
    plain = Bundle(os.path.join(work, "plain"), program)
    hooked = Bundle(os.path.join(work, "hooked"), program)
    hooked.write(["/bin/corpus", "noop"], hook=empty)
    for runtime, wanted, processor in (("crun", 1.30, None), ("runc", 1.12, 1.15)):
        if not shutil.which(runtime):
            table.skipped(f"run, {runtime}", "it is not installed")
            continue
        prefix, options = [], []
        if runtime == "crun" and os.path.isdir("/sys/fs/cgroup/unified"):
            prefix = ["unshare", "-m", "sh", "-c", "mount --make-rprivate / && umount -R -l /sys/fs/cgroup && "
                      'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', "sh"]
            options = ["--cgroup-manager=disabled"]

        def container(command, bundle, place, prefix=prefix, options=options):
            return run([*prefix, *command, *options, "--root", root, "run", "--bundle", bundle.path, place.name()], env=place.environment)

        place = Place(work, "bare", runtime)
        commands = {BARE: lambda: container([runtime], plain, place), FLOOR: lambda: container([shim, runtime], hooked, place)}
        for label, build in builds.items():
            own = Place(work, label, runtime)
            commands[label] = lambda build=build, own=own: container([build.capprof], plain, own)
        for command in commands.values():
            command()  # loads the eBPF programs, and reads the files from disk
        found = in_turns(count, commands)
        walls = {label: [used.wall for used in all_used] for label, all_used in found.items()}
        table.row(f"run, {runtime}", "ms", walls)
        table.row(f"run, {runtime}, to bare", "x", ratios(walls), wanted)
        table.row(f"run, {runtime}, processor to bare", "x", ratios({label: [used.processor for used in all_used] for label, all_used in found.items()}),
                  processor)


def ratios(samples):
    """Each turn's sample to the bare one of the same turn."""
    return {label: [one / bare for one, bare in zip(values, samples[BARE], strict=True)] for label, values in samples.items() if label != BARE}


class Parts:
    """Shim, prestart and poststop of one build, started one by one for a process that sleeps."""

    def __init__(self, work, label, build, bundle, sleeper):
        self.build, self.bundle, self.sleeper = build, bundle, sleeper
        self.place = Place(work, label, os.path.join(work, "empty-runtime"))
        self.root = os.path.join(work, "runtime")

    def state(self, name, status, pid):
        # The runtime was called with this bundle.
        own = os.path.join(self.recording(), "bundle")
        path = os.path.join(self.place.path, "state.json")
        with open(path, "w") as file:
            json.dump({"ociVersion": "1.0.2", "id": name, "status": status, "pid": pid, "bundle": own if os.path.exists(own) else self.bundle.path}, file)
        return path

    def recording(self):
        directories = glob.glob(os.path.join(self.place.state, "recordings/*"))
        assert len(directories) == 1, directories
        return directories[0]

    def measure(self, by=run):
        name = self.place.name()
        create = [self.build.capprof, "--root", self.root, "create", "--bundle", self.bundle.path, name]
        shim = by(create, env=self.place.environment)
        directory = self.recording()
        prestart = by([self.build.hook, "prestart", directory], stdin=self.state(name, "created", self.sleeper.pid))
        poststop = by([self.build.hook, "poststop", directory], stdin=self.state(name, "stopped", 0))
        assert not os.path.exists(directory), f"poststop left {directory}"
        return {"shim": shim, "prestart": prestart, "poststop": poststop}

    def unload(self):
        run([self.build.hook, "recover", "--state", self.place.state, "--unload"])


def parts(table, work, program, builds, count):
    """Each program of capprof by itself, and the first load."""
    bundle = Bundle(os.path.join(work, "parts"), program)
    empty = compiled(EMPTY, os.path.join(work, "empty-part"), "-static-pie")
    compiled(EMPTY_RUNTIME, os.path.join(work, "empty-runtime"), "-static-pie")
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        measured = {label: Parts(work, label, build, bundle, sleeper) for label, build in builds.items()}
        for one in measured.values():
            one.measure()
        commands = {label: one.measure for label, one in measured.items()}
        commands[FLOOR] = lambda: dict.fromkeys(("shim", "prestart", "poststop"), run([empty]))
        found = in_turns(count, commands)
        counted = {label: one.measure(system_calls) for label, one in measured.items()}
        peaks = {label: one.measure(memory) for label, one in measured.items()}
        for part, wanted in (("shim", None), ("prestart", None), ("poststop", 0.6)):
            table.row(f"{part}, processor", "ms", {label: [used[part].processor for used in values] for label, values in found.items()}, wanted)
            table.row(f"{part}, wall", "ms", {label: [used[part].wall for used in values] for label, values in found.items()})
            table.row(f"{part}, system calls", "calls", {label: [one[part][0]] for label, one in counted.items()})
            table.row(f"{part}, fsync", "calls", {label: [one[part][1]] for label, one in counted.items()})
            table.row(f"{part}, peak memory", "MiB", {label: [one[part]] for label, one in peaks.items()}, 10)
        first_load(table, measured, found)
        bundle.write(["/bin/corpus", "noop"], padding=2_000_000)
        large = in_turns(5, {label: lambda one=one: one.measure()["shim"].wall for label, one in measured.items()})
        table.row("shim, config.json of 2 MB, wall", "ms", large, 20)
    finally:
        sleeper.send_signal(signal.SIGKILL)
        sleeper.wait()


def first_load(table, measured, found):
    def loads(label, one):
        one.unload()
        usual = statistics.median(used["prestart"].wall for used in found[label])
        first = one.measure()["prestart"].wall - usual
        one.unload()
        return first, one.measure(memory)["prestart"]

    loaded = in_turns(5, {label: lambda label=label, one=one: loads(label, one) for label, one in measured.items()})
    table.row("first load, once per boot", "ms", {label: [wall for wall, _ in values] for label, values in loaded.items()}, 25)
    table.row("first load, peak memory", "MiB", {label: [memory for _, memory in values] for label, values in loaded.items()}, 32)
    for one in measured.values():
        one.unload()


def temporary(prefix):
    # On a tmpfs, like the bundles of engines and the recordings of capprof.
    return tempfile.TemporaryDirectory(prefix=prefix, dir="/dev/shm" if os.path.isdir("/dev/shm") else None)

