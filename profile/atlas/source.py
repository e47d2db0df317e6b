# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel sources and configurations: gets the packages with this machine's apt, and finds the files of which the amd64 kernel is built."""

import lzma
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Suites that may have a version which this machine's own release lacks.
SUITES = ("trixie", "trixie-backports", "sid", "experimental")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def apt(cache):
    """Options that make apt look at the suites above, without touching the machine's own lists."""
    for directory in ("lists/partial", "archives/partial"):
        (cache / directory).mkdir(parents=True, exist_ok=True)
    mirror = subprocess.run([HERE.parent.parent / "tests/mirror"], check=True, capture_output=True, text=True).stdout.strip()
    listed = "".join(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for suite in SUITES)
    (cache / "sources.list").write_text(listed)
    return ["-o", f"Dir::Etc::sourcelist={cache}/sources.list", "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={cache}/lists",
            "-o", f"Dir::Cache={cache}", "-o", "APT::Sandbox::User=root"]


def package(name, cache):
    """The file of a package, from the machine's own release if it has it, else from a newer suite."""
    found = sorted(cache.glob(f"{name}_*.deb"))
    if not found:
        own = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name]
        if subprocess.run(own, cwd=cache, capture_output=True).returncode:
            options = apt(cache)
            subprocess.run(["apt-get", "-q", *options, "update"], check=True, cwd=cache, capture_output=True)
            subprocess.run(["apt-get", "-q", *options, "download", name], check=True, cwd=cache, capture_output=True)
        found = sorted(cache.glob(f"{name}_*.deb"))
    return found[-1]


def unpacked(version, cache):
    """The source of a kernel version, unpacked: C, headers and makefiles; and the version of its package."""
    cache.mkdir(parents=True, exist_ok=True)
    archive = package(f"linux-source-{version}", cache)
    name = archive.name.split("_")[1].replace("%3a", ":")
    root = cache / version
    if not (root / "Makefile").is_file():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        subprocess.run(
            f"dpkg-deb --fsys-tarfile '{archive}' | tar -xO ./usr/src/linux-source-{version}.tar.xz | xz -dc -T0 |"
            f" tar -x -C '{root}' --strip-components=1 --wildcards '*.c' '*.h' '*Makefile' '*Kbuild'",
            shell=True, check=True)
    return root, name


def configuration(version, cache):
    """The build options of Debian's amd64 kernel of a version."""
    archive = package(f"linux-config-{version}", cache)
    member = f"./usr/src/linux-config-{version}/config.amd64_none_amd64.xz"
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True).stdout
    packed = subprocess.run(["tar", "-xO", member], input=tar, check=True, capture_output=True).stdout
    return {m.group(1) for m in re.finditer(r"^(CONFIG_\w+)=[ym]", lzma.decompress(packed).decode(), re.M)}


class Built:
    """The files of a source tree that are part of a kernel with a configuration."""

    def __init__(self, root, options):
        self.root, self.options, self.makefiles, self.known = root, options, {}, {}

    def lines(self, directory):
        """The lists of a directory's makefile: (name, condition, members); a condition is an option's name, or None for always."""
        if directory not in self.makefiles:
            text = ""
            for name in ("Kbuild", "Makefile"):
                path = self.root / directory / name
                if path.is_file():
                    text += path.read_text(errors="replace").replace("\\\n", " ") + "\n"
            found = []
            for line in text.splitlines():
                match = re.match(r"\s*([\w.-]+)-(y|m|objs|\$\(.*?\)+)\s*[:+]?=\s*(.*)", line)
                if match:
                    option = re.search(r"CONFIG_\w+", match.group(2))
                    # $(mmu-y) refers to the list of that name.
                    members = re.findall(r"[\w./-]+(?:\.o|/)(?=\s|$)|(?<=\$\()[\w-]+(?=-y\))", match.group(3).split("#")[0])
                    found.append((match.group(1), option.group() if option else None, members))
            self.makefiles[directory] = found
        return self.makefiles[directory]

    def member(self, directory, target, seen=()):
        """Returns true if a directory's makefile puts a target into the kernel or a module."""
        for name, option, members in self.lines(directory):
            if target not in members or (option and option not in self.options) or name in seen:
                continue
            if name in ("obj", "lib", "core", "drivers", "net", "libs") or any(
                self.member(directory, list_of, (*seen, name)) for list_of in (f"{name}.o", name)
            ):
                return True
        return False

    def directory(self, directory):
        """Returns true if the makefiles above a directory lead into it."""
        parts = directory.split("/")
        if parts[0] == "arch":
            return parts[1] == "x86" and (len(parts) == 2 or self.reached(parts, 2))
        return self.reached(parts, 1)

    def reached(self, parts, top):
        """Returns true if a makefile names each directory of a path below its first `top`, alone or as part of a longer path."""
        for depth in range(top + 1, len(parts) + 1):
            above = [("/".join(parts[:up]), "/".join(parts[up:depth]) + "/") for up in range(1, depth)]
            if not any(self.member(makefile, path) or self.passes(makefile, path) for makefile, path in above):
                return False
        return True

    def passes(self, makefile, path):
        """Returns true if a makefile in use names something further down a path."""
        return any(member.startswith(path) for _, option, members in self.lines(makefile) if not option or option in self.options for member in members)

    def file(self, name):
        """Returns true if a file is compiled; for a header, if its directory is."""
        if name not in self.known:
            directory, _, base = name.rpartition("/")
            if name.startswith("include/"):
                built = True
            elif base.endswith(".h"):
                built = self.directory(directory)
            else:
                target = base[:-2] + ".o"
                parts = directory.split("/")
                built = any(
                    self.member("/".join(parts[:up]), "/".join([*parts[up:], target])) and self.directory("/".join(parts[:up]))
                    for up in range(len(parts), 0, -1)) or self.included(directory, base)
            self.known[name] = built
        return self.known[name]

    def included(self, directory, base):
        """Returns true if a compiled file of the directory includes this one (kernel/sched/build_policy.c)."""
        line = re.compile(rf'^#\s*include "{re.escape(base)}"', re.M)
        return any(
            line.search(path.read_text(errors="replace")) and self.file(f"{directory}/{path.name}")
            for path in (self.root / directory).glob("*.c") if path.name != base)

    def site(self, site):
        """Returns true if a place is compiled, judged by its file and the conditional directives around it."""
        return self.file(site["file"]) and all(self.holds(condition) for condition in site["conditions"])

    def holds(self, condition):
        """Returns true if a conditional directive's branch is compiled. A condition that is not about options alone counts as true."""
        text = condition.lstrip("! ")
        opposite = condition[:len(condition) - len(text)].count("!") % 2 == 1
        if text.strip() == "0":
            return opposite
        match = re.fullmatch(r"\s*(?:defined\s*\(?|IS_ENABLED\(|IS_BUILTIN\()?\s*(CONFIG_\w+)\s*\)?\s*", text)
        return (match.group(1) in self.options) != opposite if match else True
