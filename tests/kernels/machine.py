# SPDX-License-Identifier: Apache-2.0
"""The architectures of guests: the origin of their programs, and their emulation."""
import pathlib
import shutil
import subprocess

import ramdisk

HERE = pathlib.Path(__file__).resolve().parent


class Amd64:
    """A guest with this machine's architecture: its programs are this machine's."""

    architecture = "amd64"
    emulator = ("qemu-system-x86_64", "-cpu", "max")
    # A guest that seldom gets a processor misses the interrupts of the timer that the kernel counts at boot, and panics ("IO-APIC + timer").
    parameters = "console=ttyS0 no_timer_check LOG=ttyS1 RESULTS=ttyS2"

    def __init__(self, binaries):
        self.binaries = binaries

    def ports(self, *files):
        """The emulator's options for the files that receive the guest's console, log and results."""
        return [word for file in files for word in ("-serial", f"file:{file}")]

    def lay_out(self, root, commands, programs):
        """Makes the tree of the initial ramdisk, with commands of Debian, capprof's programs, and the libraries of both."""
        # The tests load AppArmor's profiles with it, and are skipped without it.
        parser = shutil.which("apparmor_parser")
        ramdisk.lay_out(root, commands, [*(self.binaries / program for program in programs), *([pathlib.Path(parser)] if parser else [])])


class Arm64:
    """A guest for arm64: capprof is compiled here; other programs, and the emulator, are Debian 13's."""

    architecture = "arm64"
    # The board has one serial port; a card has two.
    parameters = "console=ttyAMA0 LOG=ttyS0 RESULTS=ttyS1"

    def __init__(self, _binaries):
        lines = subprocess.run([HERE / "arm64"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        self.binaries, made = map(pathlib.Path, lines)
        self.guest, build = made / "guest", made / "build"
        # It runs with its own loader, because its libraries are not this machine's.
        loader = [build / "lib64/ld-linux-x86-64.so.2", "--library-path", build / "usr/lib/x86_64-linux-gnu"]
        self.emulator = (*loader, build / "usr/bin/qemu-system-aarch64", "-L", build / "usr/share/qemu", "-nodefaults", "-M", "virt", "-cpu", "neoverse-n1")

    def ports(self, console, log, results):
        """See Amd64."""
        files = [word for name, file in (("log", log), ("results", results)) for word in ("-chardev", f"file,id={name},path={file}")]
        return ["-serial", f"file:{console}", *files, "-device", "pci-serial-2x,chardev1=log,chardev2=results"]

    def lay_out(self, root, commands, programs):
        """See Amd64. Only a machine of this kind can tell which libraries a command needs: all are copied."""
        ramdisk.make_directories(root)
        for command in ["busybox", *commands]:
            shutil.copy(next(self.guest.glob(f"usr/*bin/{command}")), root / "bin")
        for program in programs:
            shutil.copy(self.binaries / program, root / "bin")
        (root / "lib").mkdir()
        for library in self.guest.glob("usr/lib/aarch64-linux-gnu/*.so*"):
            shutil.copy(library, root / "lib", follow_symlinks=False)


MACHINES = {machine.architecture: machine for machine in (Amd64, Arm64)}
