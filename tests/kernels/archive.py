# SPDX-License-Identifier: Apache-2.0
"""The kernels in Debian's archive: finds them with apt's own tools, and unpacks what a guest needs to boot.

Everything is kept in $CAPPROF_CACHE/kernels (default ~/.cache/capprof/kernels): apt/ (apt's lists of the suites, a day old at most) and one
directory for each kernel, named by the checksums of its packages.
"""
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent

# A release, its backports, and the next release. Kernels are looked up in these; no version is written here.
SUITES = ["bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid", "experimental"]

# Modules that the corpus needs and that Debian does not build into the kernel.
MODULES = ["overlay", "tun"]

# A directory whose kernel is no longer in the archive is removed if it was not used for this long.
UNUSED_SECONDS = 7 * 24 * 3600
LISTS_SECONDS = 24 * 3600


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The newest package of one series (6.12) in one release."""

    series: str
    suite: str
    version: str
    # Name, version and SHA256 of each package that has a part of it.
    packages: tuple

    @property
    def order(self):
        return tuple(int(part) for part in self.series.split(".")), self.suite

    @property
    def name(self):
        return f"{self.series} of {self.suite}"


def cache():
    base = os.environ.get("CAPPROF_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "capprof"
    directory = pathlib.Path(base) / "kernels"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextlib.contextmanager
def locked(name):
    with open(cache() / f".{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def output(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def security_suites():
    """The source of security updates in this machine's own apt configuration: only that names their mirror."""
    lines = output("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages").splitlines()
    return sorted({tuple(line.split()) for line in lines if line.endswith("-security")})


class Apt:
    """apt with separate lists, so that the machine's own stay as they are."""

    def __init__(self, architecture):
        self.directory = cache() / "apt" / architecture
        for part in ["lists/partial", "cache/archives/partial"]:
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        mirror = output(HERE.parent / "mirror").strip()
        sources = [(mirror, suite) for suite in SUITES] + security_suites()
        options = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no"
        text = "".join(f"deb [{options} arch={architecture}] {uri} {suite} main\n" for uri, suite in sources)
        self.sources = self.directory / "sources.list"
        if not self.sources.exists() or self.sources.read_text() != text:
            self.sources.write_text(text)
            (self.directory / "updated").unlink(missing_ok=True)
        (self.directory / "status").touch()
        (self.directory / "apt.conf").write_text(
            f"""
            APT::Architecture "{architecture}"; APT::Architectures {{"{architecture}";}}; APT::Sandbox::User "root";
            Dir::State::Lists "{self.directory}/lists"; Dir::State::Status "{self.directory}/status"; Dir::Cache "{self.directory}/cache";
            Dir::Etc::SourceList "{self.sources}"; Dir::Etc::SourceParts "/dev/null";
            Dir::Etc::Preferences "/dev/null"; Dir::Etc::PreferencesParts "/dev/null";
            Acquire::Languages "none"; Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
            """
        )
        self.environment = {**os.environ, "APT_CONFIG": str(self.directory / "apt.conf")}
        self.update()

    def update(self):
        stamp = self.directory / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_SECONDS:
            return
        subprocess.run(["apt-get", "--quiet=2", "--error-on=any", "update"], check=True, env=self.environment)
        stamp.touch()

    def call(self, command, *arguments, **options):
        # Some machines disable apt's cache of its lists; then each call would read them again.
        cached = ["-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"]
        return output(command, *cached, *arguments, env=self.environment, **options)

    def fields(self, packages):
        """The records of packages in the lists, by name and version; packages that are not in the lists are left out."""
        known = {}
        # One call for all packages, because each call reads many megabytes of lists.
        wanted = [f"{package}={version}" for package, version in packages]
        for stanza in self.call("apt-cache", "show", "--no-all-versions", *wanted).split("\n\n"):
            fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.MULTILINE))
            if fields:
                known[fields["Package"], fields["Version"]] = fields
        return known


def newest_of_each(rows):
    """The newest package of each series in each release, from lines of `apt-cache madison`; security updates belong to their release."""
    found = {}
    for package, version, suite in rows:
        series = re.match(r"(?:\d+:)?(\d+\.\d+)", version)[1]
        key = series, suite.removesuffix("-security")
        newer = key not in found or subprocess.run(["dpkg", "--compare-versions", version, "gt", found[key][1]]).returncode == 0
        if newer:
            found[key] = package, version
    return found


def parts_of(fields):
    """The packages with a kernel's parts: newer packages of the kernel itself only depend on those.

    Of a few the archive has no modules any more. These cannot be installed, but boot.
    """
    version = fields["Version"]
    names = re.findall(rf"(linux-(?:binary|modules)-\S+) \(= {re.escape(version)}\)", fields.get("Depends", ""))
    return [(name, version) for name in names]


def kernels(architecture="amd64"):
    """Every kernel of the archive, oldest first. A package that is in several suites counts once."""
    with locked("apt"):
        apt = Apt(architecture)
        names = apt.call("apt-cache", "pkgnames", "linux-image-").split()
        names = [name for name in names if re.fullmatch(rf"linux-image-\d.*-cloud-{architecture}", name)]
        rows = []
        for line in apt.call("apt-cache", "madison", *names).splitlines():
            package, version, source = (field.strip() for field in line.split("|"))
            rows.append((package, version, re.search(r"(\S+)/main ", source)[1]))
        newest = newest_of_each(rows)
        images = apt.fields(newest.values())
        parts = {image: parts_of(fields) for image, fields in images.items()}
        known = images | apt.fields([part for some in parts.values() for part in some])
    kernels = {}
    for (series, suite), image in sorted(newest.items()):
        packages = tuple((*package, known[package]["SHA256"]) for package in [image, *parts[image]] if package in known)
        kernels.setdefault(packages, Kernel(series, suite, image[1], packages))
    return sorted(kernels.values(), key=lambda kernel: kernel.order)


def unpacked(kernel, architecture="amd64", modules=MODULES):
    """A directory with vmlinuz and modules/ of the kernel, of which it has these, downloaded and unpacked once."""
    what = "\n".join([*(checksum for _, _, checksum in kernel.packages), *modules])
    directory = cache() / f"{kernel.series}-{hashlib.sha256(what.encode()).hexdigest()[:20]}"
    with locked(directory.name):
        if not directory.exists():
            with tempfile.TemporaryDirectory(dir=cache(), prefix=".unpack.") as work:
                unpack(kernel, Apt(architecture), pathlib.Path(work), modules)
                (pathlib.Path(work) / "kernel").rename(directory)
        directory.touch()
    return directory


def unpack(kernel, apt, work, modules):
    wanted = [f"{name}={version}" for name, version, _ in kernel.packages]
    apt.call("apt-get", "--quiet=2", "download", *wanted, cwd=work)
    tree, result = work / "tree", work / "kernel"
    for package in work.glob("*.deb"):
        checksum = hashlib.sha256(package.read_bytes()).hexdigest()
        if checksum not in [known for _, _, known in kernel.packages]:
            raise SystemExit(f"kernels: {package.name}: its checksum is not the one that apt's lists have")
        subprocess.run(["dpkg-deb", "--extract", package, tree], check=True)
    (result / "modules").mkdir(parents=True)
    shutil.copy(one(tree, "vmlinu[xz]*"), result / "vmlinuz")
    for module in modules:
        for file in tree.rglob(f"{module}.ko*"):
            if file.suffix == ".xz":
                with open(result / "modules" / f"{module}.ko", "wb") as plain:
                    subprocess.run(["xz", "--decompress", "--stdout", file], check=True, stdout=plain)
            else:
                shutil.copy(file, result / "modules" / f"{module}.ko")


def one(tree, pattern):
    found = [path for path in tree.rglob(pattern) if path.is_file()]
    if len(found) != 1:
        raise SystemExit(f"kernels: {pattern}: expected one file in the packages, found {len(found)}")
    return found[0]


def prune(kept):
    """Removes directories of kernels that are no longer in the archive."""
    for directory in cache().iterdir():
        old = time.time() - directory.stat().st_mtime > UNUSED_SECONDS
        if directory.is_dir() and directory.name != "apt" and directory not in kept and old:
            shutil.rmtree(directory)
