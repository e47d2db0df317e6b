# SPDX-License-Identifier: Apache-2.0
"""The Test Anything Protocol as tests/tap.sh describes it: the writer for Python suites, and the only reader."""

import dataclasses
import re
import sys
import threading

LINE = re.compile(r"(?P<bad>not )?ok - (?P<name>.*?)(?: # (?:SKIP (?P<reason>.*)|time=(?P<seconds>[\d.]+)))?$")
PLAN = re.compile(r"1\.\.(\d+)$")


@dataclasses.dataclass
class Test:
    name: str
    # "passed", "failed" or "skipped"
    verdict: str
    seconds: float = 0.0
    # Why it was skipped.
    reason: str = ""
    # The last lines of a failed test.
    log: list[str] = dataclasses.field(default_factory=list)


class Reader:
    """Collects tests from the lines of a suite."""

    def __init__(self):
        self.tests = []
        self.planned = None
        self.in_log = False

    def feed(self, line):
        line = line.rstrip("\n")
        if self.in_log:
            if line == "  ...":
                self.in_log = False
            else:
                self.tests[-1].log.append(line.removeprefix("  "))
        elif line == "  ---" and self.tests and self.tests[-1].verdict == "failed":
            self.in_log = True
        elif plan := PLAN.match(line):
            self.planned = (self.planned or 0) + int(plan[1])
        elif test := LINE.match(line):
            verdict = "failed" if test["bad"] else "skipped" if test["reason"] is not None else "passed"
            self.tests.append(Test(test["name"], verdict, float(test["seconds"] or 0), test["reason"] or ""))

    def end(self, status, why=""):
        """Adds a failed test if the suite ended early, or with an error that no failed test explains."""
        told = any(test.verdict == "failed" for test in self.tests)
        if self.planned != len(self.tests) or status != 0 and not told:
            log = [why or f"ended with status {status} after {len(self.tests)} tests of {self.planned}"]
            self.tests.append(Test("end", "failed", log=log))


class Writer:
    """Prints the results of a suite. Several threads may share it."""

    def __init__(self, output=None):
        self.output = output or sys.stdout
        self.count = self.failed = 0
        self.lock = threading.Lock()

    def write(self, text, failed=0):
        with self.lock:
            self.count += 1
            self.failed += failed
            print(text, file=self.output, flush=True)

    def ok(self, name, seconds=None):
        self.write(f"ok - {name}" + (f" # time={seconds:.3f}" if seconds is not None else ""))

    def skip(self, name, reason):
        self.write(f"ok - {name} # SKIP {' '.join(reason.split())}")

    def fail(self, name, why, seconds=None):
        log = "\n".join(f"  {line}" for line in str(why).splitlines()[-60:])
        self.write(f"not ok - {name}" + (f" # time={seconds:.3f}" if seconds is not None else "") + f"\n  ---\n{log}\n  ...", 1)

    def end(self):
        """Prints the plan. Returns the exit status."""
        print(f"1..{self.count}", file=self.output, flush=True)
        return 1 if self.failed else 0
