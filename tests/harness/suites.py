# SPDX-License-Identifier: Apache-2.0
"""The table of suites: command, lane, claim, inputs. `tests/run --table` prints the part that docs/testing.md has."""

import dataclasses

# The sources of capprof's programs.
SOURCES = ("Cargo.toml", "Cargo.lock", ".cargo/", "rust-toolchain.toml", "Makefile", "profile/", "store/", "shim/", "hooks/", "ctl/")
HARNESS = ("tests/run", "tests/harness/", "tests/tap.sh", ".config/nextest.toml", "docs/testing.md")
E2E = (*SOURCES, "tests/Cargo.toml", "tests/src/", "tests/corpus/", "packaging/config.toml")
GUEST = ("tests/vm/", "tests/guest", "packaging/")
# The pages whose commands a suite runs as they are written.
PAGES = tuple(
    f"docs/{page}.md"
    for page in ("compose", "docker", "podman", "containerd", "kubernetes", "enforce", "observe", "one-command", "pipelines", "privileged", "profile", "report", "shrink", "store",
                 "verify", "why")
)
ENGINES = (*SOURCES, "packaging/", "tests/engines/", "tests/corpus/", "README.md", *PAGES)

# Of the faults, kills, containers and power cuts that `make torture` tries.
FEW = ("--bin", "@BIN", "--points", "30", "--containers", "24", "--cuts", "1")


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    command: tuple[str, ...]
    # The command for one test, whose name is appended; empty if the suite cannot run one test alone.
    one: tuple[str, ...] = ()
    # "host" or "guest": both lanes run at the same time, because an emulated guest keeps one processor busy. "any": the first lane that has none of its own
    # to run; for suites that record nothing on this machine, or apart from all others, and leave ports, control groups and the programs alone.
    lane: str = "host"
    # Suites that must pass first.
    needs: tuple[str, ...] = ("build",)
    # Suites that must end first, if they run at all.
    after: tuple[str, ...] = ()
    # What it shows, for docs/testing.md.
    claims: str = ""
    # The suite depends on paths that begin with one of these. None: it always runs.
    inputs: tuple[str, ...] | None = None
    # Its time limit in seconds.
    limit: int = 3600
    # True if the command prints no TAP: its exit status is the one test.
    plain: bool = False
    # True if it writes its findings for docs/accuracy.md.
    rows: bool = False
    # True if it understands --shard.
    shards: bool = False


def engines(name, host, lane, claims, *more, limit=3600, after=()):
    command = ("tests/engines/run", "--host", host, *more)
    return Suite(name, command, (*command, "--filter"), lane=lane, claims=claims, inputs=(*ENGINES, *HARNESS, *(() if host in ("here", "native", "docker-20") else GUEST)), limit=limit, after=after)


ALL = (
    Suite("build", ("make", "-s", "build", "test-programs"), needs=(), plain=True, limit=2400,
          claims="the programs are built by one command, statically"),
    Suite("image", ("tests/vm/image", "--module", "packaging/selinux/capprof.cil"), needs=(), lane="guest", plain=True, limit=2400,
          claims="Debian 13 with SELinux enforcing and the policy module is installed from Debian's packages",
          inputs=("tests/vm/", "packaging/selinux/")),
    Suite("roots", ("tests/roots",), lane="any", needs=(), plain=True, limit=1800,
          claims="the root file systems of Debian that demo, engines and servers take are made",
          inputs=("tests/roots", "tests/mirror", "tests/demo/root", "tests/engines/root", "tests/runtimes/root", "tests/servers/root", "tests/servers/packages")),
    Suite("lint", ("make", "-s", "lint"), lane="any", needs=(), plain=True,
          claims="format, clippy, documentation, shellcheck, ruff, subjects of commits"),
    Suite("unit", ("tests/unit",), ("tests/unit",),
          claims="each module does what its documentation says; the eBPF programs load, attach and count on this kernel", inputs=(*SOURCES, *HARNESS, "tests/unit")),
    Suite("report", ("tests/report/check",), lane="any", plain=True,
          claims="the HTML and Markdown reports are well formed, accessible, and show what comes from the container as text; the forms for compose, Kubernetes, kustomize, "
          "OpenShift and Amazon ECS are what the published schemas allow, and Nomad's has the words of its docker driver",
          inputs=(*SOURCES, *HARNESS, "tests/report/", "tests/demo/")),
    Suite("harness", ("tests/harness/selftest",), ("tests/harness/selftest",), lane="any", needs=(),
          claims="a test that fails, hangs, or is missing is seen as such by what runs the suites", inputs=(*HARNESS, "tests/accuracy", "tests/corpus/", "tests/servers/")),
    Suite("atlas", ("profile/atlas/atlas", "check"), lane="any", needs=(), plain=True,
          claims="the table of places where Linux asks for a capability is whole, and docs/atlas.md is made from it", inputs=("profile/atlas/", "docs/atlas.md")),
    Suite("architecture", ("tests/architecture",), lane="any", needs=(), plain=True,
          claims="docs/architecture.md names the folders and files that exist, SECURITY.md tests that exist",
          inputs=(*SOURCES, "tests/src/", "docs/architecture.md", "SECURITY.md", "tests/architecture")),
    Suite("demo", ("tests/demo/check",), ("tests/demo/check",),
          claims="rsyslogd needs CAP_SYSLOG to read the kernel log, and nothing else, under runc and crun", inputs=(*SOURCES, *HARNESS, "tests/demo/")),
    Suite("host", ("@BIN/capprof-e2e",), ("@BIN/capprof-e2e",), rows=True, shards=True,
          claims="the whole corpus by eBPF with the proof of each set; lifecycle, bad input, enforce, verify, shrink and privileged under runc and crun",
          inputs=(*E2E, *HARNESS)),
    Suite("runtimes", ("tests/runtimes/run", "--bin", "@BIN"), ("tests/runtimes/run", "--bin", "@BIN"), after=("roots",), limit=1800,
          claims="the newest runc and crun of Debian's archive: what a caller sees of them is what it sees through capprof",
          inputs=(*E2E, *HARNESS, "tests/runtimes/")),
    Suite("smoke", ("@BIN/capprof-e2e", "lifecycle/", "bad_input/"), needs=("build",),
          claims="a few of host: lifecycle and bad input under runc and crun", inputs=(*E2E, *HARNESS)),
    Suite("torture", ("tests/torture/run", *FEW), ("tests/torture/run", *FEW),
          claims="a few of torture-all, drawn anew each day by a seed that is printed", inputs=(*E2E, *HARNESS, "tests/torture/", "tests/kernels/")),
    Suite("policy", ("tests/policy/check",), lane="any",
          claims="what the policy module allows and refuses, asked of Debian 12's and 13's compiled policies", needs=(),
          inputs=("packaging/selinux/", "tests/policy/", *HARNESS)),
    engines("packages", "here", "any", "deb and rpm are reproducible, complete, installable and removable; manual pages; the Kubernetes files"),
    engines("engines", "native", "host",
            "docker, podman, containerd and CRI without SELinux; verify, enforce, shrink; bash, zsh and fish complete the name of a profile; README and the pages on "
            "compose, docker, podman, enforce, observe, one command, pipelines, privileged containers, profiles, reports, shrink, the store, verify and why word by word",
            limit=1800, after=("roots",)),
    engines("docker-20", "docker-20", "any",
            "README and the page on compose word by word with Debian 12's docker 20.10, which has no annotations, and with compose 1 and 2", after=("roots",)),
    Suite("servers", ("tests/servers/run", "--bin", "@BIN"), ("tests/servers/run", "--bin", "@BIN"), rows=True, after=("roots",),
          claims="Debian's servers and tools need what expected.toml says, and run with exactly that", inputs=(*SOURCES, *HARNESS, "tests/servers/", "docs/servers.md")),
    Suite("observed", ("tests/servers/run", "--bin", "@BIN", "--observed", "few"), ("tests/servers/run", "--bin", "@BIN", "--observed", "all"), after=("roots",),
          claims="three servers observed without a restart use what profiling finds for the same, and do without what `capprofctl audit` calls unused",
          inputs=(*SOURCES, *HARNESS, "tests/servers/")),
    Suite("systemd", ("tests/systemd/run",), ("tests/systemd/run",), after=("roots",), limit=900,
          claims="services of Debian's systemd are recorded from their start on, get a drop-in that works, and have their former settings back on every way out; recovery at boot; "
          "the page on units word by word; a Quadlet starts with what was put into it",
          inputs=(*SOURCES, *HARNESS, "tests/systemd/", "tests/servers/root", "tests/servers/packages", "tests/engines/root", "tests/engines/images", "tests/corpus/", "docs/unit.md")),
    Suite("guest", ("tests/guest",), ("tests/guest",), lane="any", needs=("build", "image"), rows=True, limit=2 * 3600, shards=True,
          claims="the same with SELinux enforcing: the SELinux recorder, its leases, labels and blind spots, corpus by construction with both recorders",
          inputs=(*E2E, *HARNESS, *GUEST)),
    Suite("kernels", ("tests/kernels/run", "--bin", "@BIN", "--jobs", "1", "--part", "corpus", "debian-12", "newest"), ("tests/kernels/run", "--bin", "@BIN"), lane="any",
          claims="eBPF finds one program's need for each capability, and is not misled, on the kernel of Debian 12 and on the newest of Debian's archive",
          inputs=(*E2E, *HARNESS, "tests/kernels/")),
    Suite("apparmor", ("tests/kernels/run", "--bin", "@BIN", "--part", "why", "debian-12"), ("tests/kernels/run", "--bin", "@BIN"), lane="any",
          claims="`capprofctl why` names what AppArmor refuses, with its record and without, on the kernel of Debian 12", inputs=(*E2E, *HARNESS, "tests/kernels/")),
    engines("engines-selinux", "selinux", "guest", "the package, docker, podman (rootless and quadlet too), containerd and Kubernetes with SELinux enforcing and systemd"),
    Suite("accuracy", ("tests/accuracy", "--check"), needs=(), after=("host", "servers", "guest", "guest-full"),
          claims="docs/accuracy.md says what the suites found"),
    # ---- in `make test-all` alone
    Suite("fuzz", ("env", "PROPTEST_CASES=20000", "tests/unit", "fuzz"), needs=(), limit=2 * 3600,
          claims="whatever stands in config.json, profiles, settings and engines' command lines: no panic, no hang, nothing changed, no escape sequence shown"),
    Suite("torture-all", ("tests/torture/run", "--bin", "@BIN", "--write", "docs/reliability.md"), ("tests/torture/run", "--bin", "@BIN"), limit=12 * 3600,
          claims="every system call of shim, hooks and capprofctl fails with each error, and each process is killed before every call: nothing is lost, nothing left, "
          "no profile complete and wrong; 500 containers, 64 at a time, give the profiles that they give alone; 40 power cuts lose no container that had ended"),
    Suite("runtimes-all", ("tests/runtimes/run", "--bin", "@BIN", "--all"), ("tests/runtimes/run", "--bin", "@BIN"), after=("roots",), limit=2 * 3600,
          claims="lifecycle, bad input, enforce and all comparisons with the bare runtime, under runc and crun of Debian's later releases"),
    Suite("upstream", ("tests/upstream/run", "--bin", "@BIN"), ("tests/upstream/run", "--bin", "@BIN"), after=("roots",), limit=3 * 3600,
          claims="the tests of runc and crun themselves have the result that they have without capprof, but for those that tests/upstream/differences.toml names",
          inputs=(*SOURCES, *HARNESS, "tests/runtimes/", "tests/upstream/")),
    Suite("members", ("tests/servers/run", "--bin", "@BIN", "--members"), ("tests/servers/run", "--bin", "@BIN", "--members"),
          claims="each member of a server's set is needed: without it the exercise fails"),
    Suite("observed-all", ("tests/servers/run", "--bin", "@BIN", "--observed", "all"), ("tests/servers/run", "--bin", "@BIN", "--observed", "all"), after=("roots",),
          claims="the same of ten servers, as root and as users of their own", inputs=(*SOURCES, *HARNESS, "tests/servers/")),
    Suite("corpus", ("tests/corpus/check", "@BIN/corpus"), claims="the corpus is what it says of itself: every program with all, exactly, and without each of its capabilities, "
          "under runc, as another user, in a user namespace, and by what the kernel is asked"),
    Suite("corpus-audited", ("tests/corpus/check-guest", "@BIN/corpus"), lane="guest", needs=("build",),
          claims="SELinux's audit records show of the corpus what it says"),
    Suite("guest-full", ("tests/guest", "--full"), lane="guest", needs=("build", "image"), rows=True, limit=4 * 3600, shards=True,
          claims="every program of the corpus with every recorder, runtime and variant, SELinux enforcing"),
    Suite("demo-debian-12", ("tests/demo/guest",), ("tests/demo/guest",), lane="any",
          claims="README's first command, on Debian 12 with the kernel that it installs: rsyslogd needs exactly CAP_SYSLOG, by eBPF",
          inputs=(*SOURCES, *HARNESS, "tests/demo/", "tests/vm/guest", "packaging/")),
    Suite("kernels-all", ("tests/kernels/run", "--bin", "@BIN", "--write"), lane="guest", limit=3 * 3600,
          claims="the same on each kernel of Debian's archive; writes docs/kernels.md and README's table"),
    Suite("kernels-arm64", ("tests/kernels/run", "--architecture", "arm64", "--jobs", "1", "--write", "debian-13", "newest"),
          ("tests/kernels/run", "--architecture", "arm64"), lane="guest", needs=(), limit=3 * 3600,
          claims="the programs are compiled for arm64, and find the same on Debian 13's kernel and the newest for it; writes their part of docs/kernels.md"),
    Suite("policy-guest", ("tests/policy/check-guest",), lane="guest", needs=(),
          claims="what the policy module allows and refuses, on an enforcing kernel with real engines"),
    Suite("vm", ("tests/vm/selftest",), lane="guest", needs=(), claims="the guest is what the other suites take it for"),
    engines("engines-everywhere", "selinux", "guest", "all of engines with SELinux enforcing", "--everywhere", limit=3 * 3600),
    engines("engines-everywhere-plain", "plain", "any",
            "all of engines in a guest without SELinux, with systemd; the DaemonSet on such a node, `make install` and `make uninstall`", "--everywhere", limit=3 * 3600),
    Suite("release", ("tests/release",), ("tests/release", "--filter"), limit=2 * 3600,
          claims="the RPM builds from the source archives alone, without network, in another directory, byte for byte; the notices name what the linker took; "
          "changed libraries can be linked; licences and sources of crates are allowed (cargo-deny); the bill of materials is one by its specification"),
    engines("engines-validate", "native", "host", "the engines' tests hold for runc itself, so that a failure accuses capprof", "--runtime", "runc"),
)
SUITES = {suite.name: suite for suite in ALL}

TEST = ("build", "image", "roots", "guest", "kernels", "apparmor", "engines-selinux", "unit", "harness", "atlas", "architecture", "demo", "report", "host",
        "runtimes", "torture", "policy", "packages", "engines", "docker-20", "servers", "observed", "systemd", "accuracy")
TARGETS = {
    "check": ("build", "lint", "unit", "harness", "atlas", "architecture", "smoke"),
    "test": TEST,
    # Without the engines in a guest: CI should take at most half an hour on two cores.
    "ci": ("lint", *(name for name in TEST if name != "engines-selinux")),
    "all": ("lint", *(name for name in TEST if name not in ("torture", "runtimes", "observed", "guest", "kernels", "apparmor", "engines-selinux")), "torture-all",
            "runtimes-all", "upstream", "fuzz", "guest-full", "demo-debian-12", "kernels-all", "kernels-arm64", "engines-everywhere",
            "engines-everywhere-plain", "policy-guest", "vm", "corpus", "corpus-audited", "members",
            "observed-all", "release", "engines-validate"),
}
