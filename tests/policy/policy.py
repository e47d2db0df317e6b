"""Debian's SELinux policies, to compile a module against and to query.

Fetches a suite's policy and the compiler that belongs to it with the machine's
own apt configuration, translates the policy to CIL once, compiles it with and
without a module, and answers access questions with libsepol, which is the
algorithm that the kernel uses, constraints and conditional rules included.
"""

import bz2
import ctypes
import ctypes.util
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# The compiler of the suite's own release, because an older one cannot read newer modules.
PACKAGES = ["selinux-policy-default", "secilc", "libsepol2", "policycoreutils", "libc6"]
# The version that kernels and setools of both suites read.
POLICY_VERSION = "33"


class Unavailable(Exception):
    """The policy or a tool is not available on this machine; the message says why."""


def cache_directory():
    base = os.environ.get("CAPPROF_CACHE")
    if not base:
        base = os.path.join(
            os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "capprof"
        )
    return pathlib.Path(base) / "policy"


def mirror():
    """The first Debian mirror of the machine's own apt configuration."""
    deb822 = sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.sources"))
    for path in deb822:
        text = path.read_text()
        for uri in re.findall(r"^URIs:\s*(\S+)", text, re.M):
            if uri.rstrip("/").endswith("/debian"):
                return uri
    lists = [pathlib.Path("/etc/apt/sources.list")]
    lists += sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.list"))
    for path in lists:
        if path.exists():
            for uri in re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)", path.read_text(), re.M):
                if uri.rstrip("/").endswith("/debian"):
                    return uri
    raise Unavailable("apt has no Debian mirror configured")


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode:
        detail = (result.stderr or result.stdout).strip().splitlines()
        raise RuntimeError(f"{command[0]}: {detail[-1] if detail else 'failed'}")
    return result


def fetch(suite, directory):
    """Downloads the suite's packages into directory, with lists of its own."""
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Unavailable(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        for name in ("state/lists/partial", "cache/archives/partial"):
            (root / name).mkdir(parents=True)
        (root / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n"
        )
        apt = [
            "apt-get", "-qq",
            "-o", f"Dir::Etc::SourceList={root}/sources.list",
            "-o", "Dir::Etc::SourceParts=/dev/null",
            "-o", f"Dir::State={root}/state",
            "-o", "Dir::State::status=/dev/null",
            "-o", f"Dir::Cache={root}/cache",
            "-o", "APT::Sandbox::User=root",
            "-o", "Acquire::Languages=none",
        ]  # fmt: skip
        try:
            run(apt + ["update"])
            run(apt + ["download"] + PACKAGES, cwd=directory)
        except RuntimeError as error:
            raise Unavailable(f"cannot download the policy of {suite}: {error}") from error


class Suite:
    """One Debian release's policy, unpacked and translated to CIL in the cache."""

    def __init__(self, name):
        self.name = name
        home = cache_directory()
        home.mkdir(parents=True, exist_ok=True)
        self.directory = home / f"{name}-{'+'.join(PACKAGES)}"
        with open(home / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.directory.exists():
                self._prepare(home)
        self.version = (self.directory / "version").read_text().strip()
        self.modules = sorted(str(path) for path in (self.directory / "cil").glob("*.cil"))

    def _prepare(self, home):
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            work = pathlib.Path(scratch) / "suite"
            work.mkdir()
            fetch(self.name, work)
            for package in work.glob("*.deb"):
                where = "policy" if package.name.startswith("selinux-policy") else "tools"
                run(["dpkg-deb", "-x", str(package), str(work / where)])
                if where == "policy":
                    version = run(["dpkg-deb", "-f", str(package), "Version"]).stdout
                    (work / "version").write_text(version)
                package.unlink()
            (work / "cil").mkdir()
            translator = next((work / "tools").rglob("hll/pp"))
            for module in (work / "policy/usr/share/selinux/default").glob("*.pp.bz2"):
                target = work / "cil" / module.name.replace(".pp.bz2", ".cil")
                result = subprocess.run(
                    self._command(work, translator) + ["-"],
                    input=bz2.decompress(module.read_bytes()),
                    capture_output=True,
                )
                if result.returncode:
                    raise RuntimeError(f"translate {module.name}: {result.stderr.decode()}")
                target.write_bytes(result.stdout)
            work.rename(self.directory)

    @staticmethod
    def _command(directory, program):
        """A program of the suite under the suite's own loader and libraries."""
        libraries = sorted({str(path.parent) for path in (directory / "tools").rglob("*.so.*")})
        loader = next(
            path for path in (directory / "tools").rglob("ld-linux*.so*") if path.is_file()
        )
        return [str(loader), "--library-path", ":".join(libraries), str(program)]

    def compile(self, output, extra=(), contexts="/dev/null"):
        """Compiles the suite's modules and extra, with neverallow rules checked. Returns the lines that the compiler says."""
        compiler = next((self.directory / "tools").rglob("bin/secilc"))
        result = run(
            self._command(self.directory, compiler)
            + ["-m", "-M", "true", "-c", POLICY_VERSION, "-o", str(output), "-f", str(contexts)]
            + self.modules
            + [str(path) for path in extra]
        )
        return [line for line in result.stderr.splitlines() if line]


class _Decision(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("allowed", "decided", "auditallow", "auditdeny", "seqno")
    ]


class Kernel:
    """Answers as the kernel would with this policy loaded. One at a time: libsepol
    keeps the policy in a global variable."""

    def __init__(self, policy):
        name = ctypes.util.find_library("sepol")
        if not name:
            raise Unavailable("libsepol is not installed")
        self.library = ctypes.CDLL(name)
        for symbol in ("sepol_set_policydb_from_file", "sepol_compute_av",
                       "sepol_string_to_security_class", "sepol_context_to_sid",
                       "sepol_string_to_av_perm"):  # fmt: skip
            if not hasattr(self.library, symbol):
                raise Unavailable(f"libsepol lacks {symbol}: 3.4 or newer is needed")
        # Without libsepol's messages on standard error: here an invalid context is an answer.
        self.library.sepol_debug(0)
        self.libc = ctypes.CDLL(None)
        self.libc.fopen.restype = ctypes.c_void_p
        stream = self.libc.fopen(str(policy).encode(), b"r")
        if not stream or self.library.sepol_set_policydb_from_file(ctypes.c_void_p(stream)):
            raise RuntimeError(f"cannot load {policy}")
        self.libc.fclose(ctypes.c_void_p(stream))
        self.labels = {}
        self.classes = {}

    def _label(self, label):
        if label not in self.labels:
            number = ctypes.c_uint32()
            text = label.encode()
            if self.library.sepol_context_to_sid(text, ctypes.c_size_t(len(text)),
                                                 ctypes.byref(number)):  # fmt: skip
                raise KeyError(label)
            self.labels[label] = number.value
        return self.labels[label]

    def valid(self, label):
        """Returns true if the context is valid under the policy."""
        try:
            self._label(label)
        except KeyError:
            return False
        return True

    def _class(self, name):
        if name not in self.classes:
            number = ctypes.c_uint16()
            if self.library.sepol_string_to_security_class(name.encode(), ctypes.byref(number)):
                raise KeyError(name)
            self.classes[name] = number.value
        return self.classes[name]

    def permission(self, class_, name):
        value = ctypes.c_uint32()
        if self.library.sepol_string_to_av_perm(ctypes.c_uint16(self._class(class_)),
                                                name.encode(), ctypes.byref(value)):  # fmt: skip
            raise KeyError(f"{class_} {name}")
        return value.value

    def decision(self, source, target, class_):
        answer = _Decision()
        if self.library.sepol_compute_av(
            ctypes.c_uint32(self._label(source)), ctypes.c_uint32(self._label(target)),
            ctypes.c_uint16(self._class(class_)), ctypes.c_uint32(0), ctypes.byref(answer),
        ):  # fmt: skip
            raise RuntimeError(f"compute {source} {target} {class_}")
        return answer

    def allows(self, source, target, class_, *permissions):
        allowed = self.decision(source, target, class_).allowed
        return all(allowed & self.permission(class_, name) for name in permissions)


class Rules:
    """A policy's rules as sesearch prints them, read once: with attributes by their
    names, and what the attributes hold."""

    LINE = re.compile(
        r"(?P<kind>\w+) (?P<source>\S+) (?P<target>[^:]+):(?P<class>\S+) "
        r"(?:\{ (?P<many>[^}]*) \}|(?P<one>[^;\s]+))[^;]*;(?: \[ (?P<condition>.*)\]:(?P<branch>\w+))?$"
    )

    def __init__(self, policy):
        self.attributes = {}
        held = None
        for line in run(["seinfo", str(policy), "--flat", "-x", "-a"]).stdout.splitlines():
            if line.startswith("attribute "):
                held = self.attributes.setdefault(line.split()[1].rstrip(";"), [])
            elif line.startswith("\t") and held is not None:
                held.append(line.strip())
        permissive = run(["seinfo", str(policy), "--flat", "--permissive"]).stdout
        self.permissive = re.findall(r"^\s*(\w+)$", permissive, re.M)
        text = run(["sesearch", str(policy), "-A", "-T", "--dontaudit", "--auditallow"]).stdout
        self.lines = [line for line in text.splitlines() if line]
        self.parsed = []
        for line in self.lines:
            match = self.LINE.match(line)
            if match:
                names = (match["many"] or match["one"]).split()
                condition = f"{match['condition'].strip()}:{match['branch']}" if match["branch"] else ""
                self.parsed.append((match["kind"], match["source"], match["target"],
                                    match["class"], names, condition, line))  # fmt: skip

    def members(self, name):
        """The types of an attribute; a type is its own only member."""
        return self.attributes.get(name, [name])

    def find(self, kind=None, source=None, target=None, class_=None, permissions=()):
        """(source, target, class, names, condition, line) of rules that apply."""
        return [
            (source_, target_, found, names, condition, line)
            for kind_, source_, target_, found, names, condition, line in self.parsed
            if (kind is None or kind_ == kind)
            and (class_ is None or found == class_)
            and (source is None or source in self.members(source_))
            and (target is None or target in self.members(target_))
            and (not permissions or set(permissions) & set(names))
        ]
