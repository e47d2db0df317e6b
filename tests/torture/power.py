# SPDX-License-Identifier: Apache-2.0
"""Power cuts: a guest makes containers on a disk of its own, and its emulator is killed at random moments. The next boot reports the leftovers."""

import io
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

from result import Result
from world import NEEDS, PROGRAM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kernels"))
import archive  # noqa: E402
import ramdisk  # noqa: E402

# The seconds until a guest has reported the leftovers, and the longest time for which it then goes on. A container takes one or two.
PATIENCE = 240
LONGEST = 15.0
ENDED = re.compile(r"^power: ended (\S+)$", re.M)
TOLD = "power: told"
# The guest's words for an error.
WRONG = re.compile(r"^power: (?!ended |told)(.*)$", re.M)


def lay_out_disk(work, binaries, runtime):
    """A file system with a bundle and the configuration; the store is made there."""
    tree = work / "tree"
    tree.mkdir()
    subprocess.run([binaries / "corpus-bundle", "--corpus", binaries / "corpus", "--runtime", runtime, tree / "bundle"], check=True, stdout=subprocess.DEVNULL)
    path = tree / "bundle/config.json"
    # The configuration names files of the bundle by absolute paths.
    config = json.loads(path.read_text().replace(str(tree), "/disk"))
    config["process"]["args"] = PROGRAM
    # The kernel of the guest has no overlayfs.
    config["mounts"] = [mount for mount in config["mounts"] if mount["type"] != "overlay"]
    path.write_text(json.dumps(config))
    (tree / "config.toml").write_text(f'runtime = "{runtime}"\nstore = "/disk/store"\nhook_timeout = 60\n')
    disk = work / "disk"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, disk, "256M"], check=True, stdout=subprocess.DEVNULL)
    return disk, path.read_bytes()


def lay_out_ramdisk(work, binaries, runtime, unpacked):
    root = work / "root"
    ramdisk.lay_out(root, [runtime], [binaries / name for name in ("capprof", "capprof-hook", "capprofctl")])
    (root / "disk").mkdir()
    shutil.copytree(unpacked / "modules", root / "modules", dirs_exist_ok=True)
    shutil.copy(HERE / "guest-init", root / "init")
    ramdisk.pack(root, work / "initrd")
    return work / "initrd"


class Guest:
    """One boot: from power on to the cut."""

    def __init__(self, work, kernel, initrd, disk, boot):
        self.console, self.archive = work / "console", work / "found.tar"
        for path in (self.console, self.archive):
            path.write_bytes(b"")
        # It ends with this process, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", "1024",
                   "-display", "none", "-nic", "none", "-no-reboot", "-serial", f"file:{self.console}", "-serial", f"file:{self.archive}", "-kernel", kernel, "-initrd", initrd,
                   # Data that the guest has flushed is in the file; the rest is lost with its memory.
                   "-drive", f"file={disk},if=virtio,format=raw,cache=writeback",
                   "-append", f"console=ttyS0 no_timer_check quiet panic=-1 boot={boot}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def said(self):
        return self.console.read_text(errors="replace").replace("\r", "")

    def wait_until_told(self):
        deadline = time.monotonic() + PATIENCE
        while TOLD not in self.said():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the guest does not say what it found: {self.said()[-2000:]}")
            time.sleep(0.1)

    def cut(self):
        self.process.kill()
        self.process.wait()


def judge(found, configuration, ended, boot):
    """The faults of the files that earlier boots have left on the disk."""
    problems = []
    with tarfile.open(fileobj=io.BytesIO(found)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    if files.get("disk/bundle/config.json") != configuration:
        problems.append("config.json is not what it was")
    if files.get("tmp/list.errors"):
        problems.append(f"list: {files['tmp/list.errors'].decode(errors='replace')}")
    profiles = {}
    for name, content in files.items():
        parts = pathlib.PurePath(name).parts
        if parts[:3] == ("disk", "store", "profiles") and parts[-1] == "capprof.json":
            profiles[parts[3]] = content
    for container in [*ended, f"next-{boot}"]:
        if container not in profiles:
            problems.append(f"{container} had ended, and nothing of it is in the store")
    for container, content in profiles.items():
        try:
            profile = json.loads(content)
        except ValueError as error:
            problems.append(f"the profile of {container} is not whole: {error}")
            continue
        if not profile["complete"]:
            problems.append(f"{container}: incomplete: {profile['incomplete_because']}")
        elif profile["minimized"] != NEEDS:
            problems.append(f"{container}: complete and wrong: {profile['minimized']}")
    return problems


def cuts(options, runtime, count, work, result):
    chance = random.Random(f"{options.seed} {result.name}")
    kernel = archive.kernels()[-1]
    unpacked = archive.unpacked(kernel, modules=("virtio_blk",))
    binaries = pathlib.Path(options.bin)
    disk, configuration = lay_out_disk(work, binaries, runtime)
    initrd = lay_out_ramdisk(work, binaries, runtime, unpacked)
    ended = []
    # The last boot only reports what the last cut has left.
    for boot in range(count + 1):
        guest = Guest(work, unpacked / "vmlinuz", initrd, disk, boot)
        try:
            guest.wait_until_told()
            if boot < count:
                time.sleep(chance.uniform(0, LONGEST))
        finally:
            guest.cut()
        said = guest.said()
        problems = judge(guest.archive.read_bytes(), configuration, ended, boot) + WRONG.findall(said)
        result.problems += [f"boot {boot}: {line}" for line in problems]
        result.points += boot < count
        ended += ENDED.findall(said)
    result.containers = len(ended)


def power(options, runtime, world):
    """Runs the cuts. Afterwards both the guest and its disk are gone; this machine is not changed."""
    result = Result(f"power/{runtime}")
    runtimes = len(options.runtime)
    # Cuts that do not divide evenly go to another runtime each day.
    count = options.cuts // runtimes + ((options.runtime.index(runtime) + options.seed) % runtimes < options.cuts % runtimes)
    if options.text not in result.name or not count:
        return []
    begun = time.time()
    with tempfile.TemporaryDirectory(dir=world.work, prefix="power-") as work:
        try:
            cuts(options, runtime, count, pathlib.Path(work), result)
        except Exception as error:  # a defect of the suite fails the test instead of losing it
            result.problems.append(repr(error))
    result.seconds = time.time() - begun
    return [result]
