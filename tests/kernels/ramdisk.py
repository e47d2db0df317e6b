# SPDX-License-Identifier: Apache-2.0
"""The initial ramdisk of guests that test a kernel: a tree with busybox, and programs with their libraries."""

import pathlib
import re
import shutil
import subprocess


def pack(root, archive_file):
    """Writes a tree as an initial ramdisk."""
    names = subprocess.run(["find", "."], cwd=root, check=True, stdout=subprocess.PIPE).stdout
    cpio = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root, input=names, check=True, stdout=subprocess.PIPE)
    with open(archive_file, "wb") as file:
        subprocess.run(["gzip", "-1"], input=cpio.stdout, check=True, stdout=file)


def copy_command(path, root):
    """Copies a program to /bin with its libraries."""
    shutil.copy(path, root / "bin" / pathlib.Path(path).name)
    libraries = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", libraries):
        to = root / library.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, to)


def make_directories(root):
    """Makes the tree without a program."""
    for directory in ["bin", "usr/bin", "proc", "sys", "dev", "root", "etc", "tmp", "var/lib", "new", "modules"]:
        (root / directory).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)


def lay_out(root, commands, programs):
    """Makes the tree, with commands of this machine and programs at these paths."""
    make_directories(root)
    for command in ["busybox", *commands]:
        path = shutil.which(command)
        if path is None:
            raise SystemExit(f"{command} is not installed: make test-deps")
        copy_command(path, root)
    for path in programs:
        if not path.exists():
            raise SystemExit(f"{path} is missing: make build test-programs")
        copy_command(path, root)
