# SPDX-License-Identifier: Apache-2.0
"""A place in which containers are made and harmed, with its own mounts, eBPF pins, state, store and runtime. It finds all leftovers."""

import ctypes
import glob
import json
import os
import pathlib
import shlex
import shutil
import signal
import struct
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x00020000
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_MAP_GET_NEXT_KEY, BPF_OBJ_GET = 4, 7
# Maps with a row for each recording, process or observation.
MAPS = ("containers", "tasks", "joins", "checks", "programs", "capsets", "devices", "sysctls", "ports", "attributes")
# Time limit of a call in seconds. A call that `kill` waits for may take a few.
PATIENCE = 30
PROMPT = 8
# The program in the container: it reports that it runs, and uses one capability.
PROGRAM = ["/bin/sh", "-c", "echo ran; exec /bin/corpus chown"]
NEEDS = ["CAP_CHOWN"]


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    return LIBC.syscall(SYS_BPF, command, buffer, 128)


def rows(map_path):
    """The number of rows of a pinned map."""
    path = ctypes.create_string_buffer(os.fsencode(map_path))
    descriptor = bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(path), 0, 0))
    if descriptor < 0:
        return 0
    count, key, following = 0, 0, ctypes.create_string_buffer(8192)
    while bpf(BPF_MAP_GET_NEXT_KEY, struct.pack("<IIQQ", descriptor, 0, key, ctypes.addressof(following))) == 0:
        count += 1
        previous = ctypes.create_string_buffer(following.raw)
        key = ctypes.addressof(previous)
    os.close(descriptor)
    return count


class World:
    """One for each process, because making it moves the process to a mount namespace of its own."""

    def __init__(self, work, binaries, runtime):
        self.work, self.binaries, self.runtime = pathlib.Path(work), pathlib.Path(binaries), runtime
        self.globals = ["--root", str(self.work / "root")]
        if runtime == "crun" and os.path.isdir("/sys/fs/cgroup/unified"):
            self.globals.append("--cgroup-manager=disabled")
        self.isolate()
        self.bin = self.work / "bin"
        self.store, self.state = self.work / "store", self.work / "run"
        self.containers = 0
        self.lay_out()

    def isolate(self):
        if LIBC.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        commands = ["mount --make-rprivate /", "mkdir -p /run/capprof", "mount -t tmpfs tmpfs /run/capprof", "mount -t bpf bpf /sys/fs/bpf",
                    f"mount -t tmpfs -o mode=755 torture {shlex.quote(str(self.work))}"]
        if self.runtime == "crun" and os.path.isdir("/sys/fs/cgroup/unified"):
            commands.append("umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup")
        for command in commands:
            subprocess.run(command, shell=True, check=True)

    def lay_out(self):
        self.bin.mkdir()
        for name in ("capprof", "capprofctl"):
            shutil.copy2(self.binaries / name, self.bin / name)
        real = self.work / "libexec"
        real.mkdir()
        shutil.copy2(self.binaries / "capprof-hook", real / "capprof-hook")
        hook = self.bin / "capprof-hook"
        # The hook itself, under strace if a test asks for it: the tracer is a separate process, so the hook remains the runtime's child.
        hook.write_text(f"""#!/bin/sh
trace={self.work}/trace-$1
if [ -s "$trace" ]; then
	read -r options <"$trace"
	exec {shutil.which("strace")} -D -o {self.work}/log $options {real}/capprof-hook "$@"
fi
exec {real}/capprof-hook "$@"
""")
        hook.chmod(0o755)
        self.config = self.work / "config.toml"
        self.config.write_text(f'runtime = "{self.runtime}"\nstore = "{self.store}"\nstate = "{self.state}"\nhook_timeout = 30\n')
        self.bundle = self.work / "bundle"
        subprocess.run([self.binaries / "corpus-bundle", "--corpus", self.binaries / "corpus", "--runtime", self.runtime, self.bundle], check=True, stdout=subprocess.DEVNULL)
        os.symlink("busybox", self.bundle / "rootfs/bin/sleep")
        self.program(PROGRAM)
        self.mounts = self.mounted()
        self.files = set(self.bundle.iterdir())

    def program(self, arguments):
        path = self.bundle / "config.json"
        config = json.loads(path.read_bytes())
        config["process"]["args"] = arguments
        path.write_text(json.dumps(config))
        self.configuration = path.read_bytes()

    # ---- calls

    def command(self, program, *arguments):
        globals_ = self.globals if program == "capprof" else []
        return [str(self.bin / program), *globals_, *arguments]

    def call(self, command, patience=PATIENCE):
        """(exit status or None if it hangs, output, errors). Files take the output: a container that is left would keep a pipe open."""
        with open(self.work / "stdout", "w+b") as output, open(self.work / "stderr", "w+b") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env={**os.environ, "CAPPROF_CONFIG": str(self.config)},
                                       start_new_session=True)
            try:
                status = process.wait(patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                status = None
            output.seek(0)
            errors.seek(0)
            return status, output.read().decode(errors="replace"), errors.read().decode(errors="replace")

    def run(self, identifier, *options, patience=PATIENCE):
        self.containers += 1
        return self.call(self.command("capprof", "run", *options, "--bundle", str(self.bundle), identifier), patience)

    def detached(self, identifier):
        self.program(["/bin/sleep", "600"])
        try:
            status, _, errors = self.run(identifier, "--detach")
        finally:
            self.program(PROGRAM)
        if status != 0:
            raise RuntimeError(f"run --detach: {status}: {errors}")

    def traced(self, command, options):
        """The same under strace, which lets go of the process when it becomes the runtime."""
        return self.call([shutil.which("strace"), "-D", "-b", "execve", "-o", str(self.work / "log"), *shlex.split(options), *command])

    def trace_hook(self, subcommand, options):
        path = self.work / f"trace-{subcommand}"
        if options is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(options + "\n")

    def take_log(self):
        """The output of strace, once it has ended: it may go on after the traced process has become the runtime or has ended."""
        log = self.work / "log"
        for _ in range(400):
            if not any(os.path.basename(words[0]) == b"strace" for _, words in self.processes()):
                break
            time.sleep(0.005)
        text = log.read_text(errors="replace") if log.exists() else ""
        log.unlink(missing_ok=True)
        return text

    # ---- afterwards

    def end(self, identifier):
        """Ends the container as an engine would. Returns the problems."""
        problems = []
        for arguments in (("kill", identifier, "KILL"), ("delete", "--force", identifier)):
            status, _, errors = self.call(self.command("capprof", *arguments), PROMPT)
            if status is None:
                problems.append(f"{arguments[0]} takes more than {PROMPT} s")
            elif "panicked" in errors:
                problems.append(f"{arguments[0]}: {errors}")
        # After a failed create, crun says that there is no such container, and its directory stays.
        left = self.work / "root" / identifier
        if left.exists():
            problems.append(f"{left} is left")
            shutil.rmtree(left, ignore_errors=True)
        return problems

    def sweep(self):
        """`capprofctl recover` as the timer calls it, two minutes later: files younger than a minute may belong to a running hook."""
        for directory in (self.state / "recordings").glob("*"):
            past = time.time() - 120
            os.utime(directory, (past, past))
        # Changes the boot clock, which numbers recordings, for this process alone (time_namespaces(7)).
        later = ["unshare", "--time", "--boottime", "120", "--fork"]
        status, output, errors = self.call([*later, *self.command("capprofctl", "recover")])
        return [] if status == 0 else [f"recover: {status}: {output}{errors}"]

    def mounted(self):
        with open("/proc/self/mountinfo") as file:
            return sorted(line.split(" ", 2)[2] for line in file)

    def processes(self):
        """Processes that use this place: each one's id and command line."""
        found = []
        for directory in glob.glob("/proc/[0-9]*"):
            try:
                words = pathlib.Path(directory, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(directory[6:]) != os.getpid() and any(word.startswith(os.fsencode(self.work)) for word in words):
                found.append((directory[6:], words))
        return found

    def left(self):
        """All leftovers."""
        problems = []
        if (self.bundle / "config.json").read_bytes() != self.configuration:
            problems.append("config.json is not what it was")
        results = {self.bundle / "capprof.json", self.bundle / "config.minimized.json"}
        problems += [f"{path} is left" for path in set(self.bundle.iterdir()) - self.files - results]
        problems += [f"{path} is left" for name in ("recordings", "lease") for path in (self.state / name).glob("*") if path.name != "lock"]
        allowed = {"capprof.json", "config.minimized.json", "verification.json"}
        problems += [f"{path} is left" for path in self.store.rglob("*") if path.is_file() and (path.name not in allowed or path.parent.name.startswith("."))]
        problems += [f"{path} is left" for path in self.store.rglob(".*")]
        problems += [f"{path} is left" for path in (self.work / "root").glob("*")]
        problems += [f"mount {line.strip()} is left" for line in self.mounted() if line not in self.mounts]
        for path in glob.glob("/sys/fs/bpf/capprof/v*/*"):
            count = rows(path) if os.path.basename(path) in MAPS else 0
            if count:
                problems.append(f"map {os.path.basename(path)} has {count} rows left")
            if "link-" in path and "system_call_exit" in path:
                problems.append(f"pin {path} is left")
        for _ in range(100):
            remaining = self.processes()
            if not remaining:
                break
            time.sleep(0.02)
        return problems + [f"process {number} is left: {b' '.join(words).decode(errors='replace')}" for number, words in remaining]

    def profiles(self, container):
        found = []
        for path in (self.store / "profiles" / container).glob("*/capprof.json"):
            found.append(json.loads(path.read_bytes()))
        return found

    def verdict(self, container, ran, needs):
        """The faults of a container's profile in the store."""
        profiles = self.profiles(container)
        if not profiles:
            return [f"{container} ran, and nothing of it is in the store"] if ran else []
        problems = []
        for profile in profiles:
            if profile["complete"]:
                if profile["minimized"] != needs:
                    problems.append(f"complete and wrong: {profile['minimized']} for {needs}")
            elif not profile["incomplete_because"]:
                problems.append("incomplete without a reason")
        return problems

    def clear(self):
        shutil.rmtree(self.store, ignore_errors=True)
        for name in ("capprof.json", "config.minimized.json"):
            (self.bundle / name).unlink(missing_ok=True)

    def next_is_normal(self):
        """Runs one more container: its profile is complete, and nothing is left of it."""
        self.clear()
        status, output, errors = self.run("next")
        problems = [] if status == 0 else [f"the next container: {status}: {output}{errors}"]
        profiles = self.profiles("next")
        if len(profiles) != 1 or not profiles[0]["complete"]:
            reasons = [profile["incomplete_because"] for profile in profiles]
            problems.append(f"the next container: {len(profiles)} profiles; {reasons}")
        problems += [f"after the next container: {line}" for line in self.verdict("next", True, NEEDS) + self.left()]
        self.clear()
        return problems
