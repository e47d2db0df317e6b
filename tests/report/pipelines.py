# SPDX-License-Identifier: Apache-2.0
"""The output of `capprofctl check` for pipelines, read by other programs: SARIF by Microsoft's validator, with the rules of the standard and those of
GitHub's code scanning; JUnit by junitparser. Each must also refuse a wrong document, or its acceptance would prove nothing."""

import json
import os
import re
import shutil
import subprocess
import sys

PACKAGES = ("junitparser==5.0.3",)
VALIDATOR = "@microsoft/sarif-multitool-linux@5.7.0"


def sarif_problems(validator, text, directory):
    """The validator's errors and notes on a log. Its warnings are opinions: it wants the address of a page on capprof, which does not exist."""
    log = directory / "check.sarif"
    log.write_text(text)
    command = [validator, "validate", log, "--rule-kind", "Sarif;Ghas", "--output", directory / "found.sarif", "--log", "ForceOverwrite"]
    # Otherwise it needs a library of locales.
    settings = {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120, check=False)
    if "files scanned" not in done.stdout and "file scanned" not in done.stdout:
        return [f"the validator of SARIF did not run: {done.stdout[-300:]}{done.stderr[-300:]}"]
    return re.findall(r"\): (error .*)", done.stdout)


def sarif(folder, text, directory):
    """Problems of a SARIF log; none if npm is missing."""
    if not shutil.which("npm"):
        print("SARIF # SKIP no npm")
        return []
    validator = folder / "node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool"
    if not validator.exists():
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, VALIDATOR]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"SARIF # SKIP npm cannot install its validator: {done.stderr.strip()[-200:]}")
            return []
        validator.chmod(0o755)
    broken = json.loads(text)
    for rule in broken["runs"][0]["tool"]["driver"]["rules"]:
        del rule["shortDescription"]
    found = [f"SARIF: {problem}" for problem in sarif_problems(validator, text, directory)]
    if not sarif_problems(validator, json.dumps(broken), directory):
        found.append("SARIF: a rule without a description is accepted")
    return found


def junit(folder, text, expected):
    """Problems of a JUnit document that must have this many failures."""
    if not (folder / "junitparser").exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder, *PACKAGES], check=True)
    sys.path.insert(0, str(folder))
    import junitparser

    suites = list(junitparser.JUnitXml.fromstring(text.encode()))
    cases = [case for suite in suites for case in suite]
    failed = [case for case in cases if any(isinstance(result, junitparser.Failure) for result in case.result)]
    counted = [(suite.tests, suite.failures) for suite in suites]
    if counted != [(len(cases), len(failed))] or len(failed) != expected:
        return [f"JUnit: says {counted}, has {len(cases)} cases and {len(failed)} failures; {expected} failures are expected"]
    return []


def check(folder, binaries, profile):
    """The faults of the output for pipelines on a profile with needs and a file that allows nothing, a line each."""
    directory = profile.parent
    (directory / "allowed set").write_text("none\n")

    def form(kind):
        command = [binaries / "capprofctl", "check", profile, "--against", "./allowed set", "--format", kind]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 5 else f"status {done.returncode}: {done.stderr}"

    log = form("sarif")
    results = json.loads(log)["runs"][0]["results"]
    return sarif(folder, log, directory) + junit(folder, form("junit"), len(results))
