# SPDX-License-Identifier: Apache-2.0
"""docs/testing.md: its table of claims, and the summary of the last full run."""

import datetime

from harness.suites import SUITES, TARGETS

BEGIN, END = "<!-- summary -->", "<!-- end of the summary -->"
COLUMNS = ("check", "test", "all")


def table():
    yield "| claim | suite | `make check` | `make test` | `make test-all` |"
    yield "|---|---|:-:|:-:|:-:|"
    for name, suite in SUITES.items():
        marks = " | ".join("x" if name in TARGETS[target] else "" for target in COLUMNS)
        yield f"| {suite.claims} | `{name}` | {marks} |"


def write_summary(path, run, commit):
    """Writes date, commit, counts and minutes between the two marks of the page."""
    lines = [f"{datetime.date.today()}, commit {commit}:", "", "| suite | passed | failed | skipped | minutes |", "|---|--:|--:|--:|--:|"]
    for name in run.chosen:
        counts = [sum(test.verdict == verdict for test in run.results[name]) for verdict in ("passed", "failed", "skipped")]
        lines.append(f"| `{name}` | {counts[0]} | {counts[1]} | {counts[2]} | {run.minutes[name]:.1f} |")
    replace(path, (BEGIN, END), lines)


def replace(path, marks, lines):
    """Puts these lines between two marks of a page."""
    before, begin, rest = path.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    path.write_text("\n".join([f"{before}{begin}", *lines, f"{end}{after}"]))
