# SPDX-License-Identifier: Apache-2.0
"""Selects suites by the paths that a change touches, and remembers which suites passed with which inputs."""

import hashlib
import os
import pathlib
import subprocess

from harness.suites import SUITES

TOP = pathlib.Path(__file__).resolve().parents[2]


def git(*arguments):
    return subprocess.run(["git", "-C", str(TOP), *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout


def changed(revision):
    """Returns the paths that differ from the revision, untracked files included."""
    return {*git("diff", "--name-only", revision, "--").split("\n"), *git("ls-files", "--others", "--exclude-standard").split("\n")} - {""}


def concerns(suite, path):
    return suite.inputs is None or path.startswith(suite.inputs)


def digest(suite):
    """Returns a hash of the compiler's version and of the contents of all inputs of the suite."""
    total = hashlib.sha256()
    total.update(subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE).stdout)
    for path in sorted(set(git("ls-files", "--cached", "--others", "--exclude-standard").split("\n")) - {""}):
        if concerns(suite, path) and (TOP / path).is_file():
            total.update(f"{path}\n{hashlib.sha256((TOP / path).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:20]


def record(suite):
    """Returns the path of the file that exists if the suite has passed with its present inputs."""
    cache = os.environ.get("CAPPROF_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "capprof")
    return pathlib.Path(cache, "passed", f"{suite.name}-{digest(suite)}")


def remember(suite):
    path = record(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{suite.name}-*"):
        old.unlink()
    path.touch()


def choose(names, revision):
    """Returns the suites to run, and for each suite that is left out the reason. `build` and `image` run only if a suite needs them."""
    paths = changed(revision)
    left_out = {}
    for name in names:
        suite = SUITES[name]
        if suite.inputs is None:
            continue
        if not any(concerns(suite, path) for path in paths):
            left_out[name] = f"nothing that it depends on has changed since {revision}"
        elif record(suite).exists():
            left_out[name] = "it has passed with these very inputs"
    chosen = [name for name in names if name not in left_out]
    wanted = {need for name in chosen for need in SUITES[name].needs}
    for name in list(chosen):
        if name in ("build", "image") and name not in wanted:
            left_out[name] = "nothing that runs needs it"
    for name in wanted & set(left_out):
        del left_out[name]
    return [name for name in names if name not in left_out], left_out
