# SPDX-License-Identifier: Apache-2.0
"""The build to compare with: a commit, built once and kept in the target directory."""
import os
import subprocess

# The last commit before the first change for speed.
BEFORE = "eca1255c9b73bb59c8c26c9ab010e145d9841748"


class Build:
    """The programs of one build."""

    def __init__(self, binaries):
        self.binaries = os.path.abspath(binaries)
        self.capprof = os.path.join(self.binaries, "capprof")
        self.ctl = os.path.join(self.binaries, "capprofctl")
        self.hook = os.path.join(self.binaries, "capprof-hook")
        if not os.path.exists(self.hook):
            self.hook = os.path.join(self.binaries, "../libexec/capprof/capprof-hook")


def of_commit(source, commit, target):
    """The build of a commit, made as `make build` makes it. Raises an error if there is no such commit."""
    commit = subprocess.run(["git", "-C", source, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"], check=True, capture_output=True,
                            text=True).stdout.strip()
    place = os.path.join(target, "bench", commit)
    binaries = os.path.join(place, "target/release")
    if not all(os.path.exists(os.path.join(binaries, name)) for name in ("capprof", "capprof-hook", "capprofctl")):
        os.makedirs(place, exist_ok=True)
        archive = subprocess.run(["git", "-C", source, "archive", commit], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", place], input=archive, check=True)
        print(f"building {commit[:12]} in {place}, once", flush=True)
        subprocess.run(["packaging/compile"], cwd=place, check=True, env=dict(os.environ, CARGO_TARGET_DIR=os.path.join(place, "target")))
    return Build(binaries)
