# SPDX-License-Identifier: Apache-2.0
"""Results of each kernel, as lines to print and as tables for the documentation."""
import json
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "kernels.md"
README = TOP / "README.md"


# The parts of a guest's job, each with the number of its test runs, which have a plan each.
PARTS = {"all": 3, "corpus": 2, "storm": 1, "why": 1}


WITH_CORPUS = ("all", "corpus")


class Result:
    """The result of one guest."""

    def __init__(self, kernel, files, log, problem, seconds, part):
        self.kernel, self.log, self.problem, self.seconds = kernel, log, problem, seconds
        self.release = files.get("release", "").strip()
        self.ebpf = json.loads(files["doctor.json"])["recorders"]["ebpf"] if files.get("doctor.json") else {}
        rows = [json.loads(line) for line in files.get("rows", "").splitlines()]
        # The answer from both recorders, which here is from eBPF alone.
        self.rows = list({row["program"]: row for row in rows if row["recorder"] is None}.values())
        self.profile = json.loads(files["profile.json"]) if files.get("profile.json") else {}
        self.tests, name = {}, ""
        for line in log.splitlines():
            test = re.match(r"(ok|not ok) - (?:corpus/crun/auto/Root/|(?:lifecycle|profile)/crun/|(?=why/))(.*)", line)
            if test:
                name = test[2].split(" # ")[0]
                self.tests[name] = [f"{test[1]} - {kernel.series}-{kernel.suite}/{test[2]}"]
            elif name and line.startswith("  "):
                # A failed test is followed by the last lines of its log.
                self.tests[name].append(line)
            else:
                name = ""
        planned = [int(number) for number in re.findall(r"^1\.\.(\d+)$", log, re.MULTILINE)]
        if not self.problem and (len(planned) != PARTS[part] or len(self.tests) != sum(planned)):
            self.problem = f"{len(self.tests)} tests ended, of {' and '.join(map(str, planned)) or 'an unknown number'}"
        if not self.problem and not self.rows and part in WITH_CORPUS:
            self.problem = "nothing was recorded: " + "; ".join(self.ebpf.get("refused", []))

    @property
    def method(self):
        return self.ebpf.get("method", "")

    @property
    def refused(self):
        """eBPF programs that this kernel refused although it has what they need: for a better way to attach than the one in use, or for devices."""
        found = []
        for attempt in self.ebpf.get("attempts", []):
            if attempt["refused"] is None:
                break
            # Otherwise it names what the kernel lacks.
            if attempt["refused"].startswith(("load: ", "attach ")):
                found.append(f"{attempt['method']}: {attempt['refused']}")
        return found + [what for what in self.ebpf.get("not_observed", []) if "load: " in what]

    def difference(self, one, other):
        """Programs whose set has a member in one column that is not in the other; an alternative to a member does not count."""
        found = []
        for row in self.rows:
            rest = [name for name in row[one] if name not in row[other]]
            stands_in = row["right"] and row["expected"] and row["found"] and len(row["expected"]) == len(row["found"])
            if rest and not stands_in:
                found.append((row["program"], rest, row["right"]))
        return sorted(found)

    @property
    def missing(self):
        """Members that were neither found nor named as a blind spot."""
        return [(program, rest) for program, rest, right in self.difference("expected", "found") if not right]

    @property
    def named(self):
        """Members that were not found but named as a blind spot."""
        return [(program, rest) for program, rest, right in self.difference("expected", "found") if right]

    @property
    def extra(self):
        return [(program, rest) for program, rest, _ in self.difference("found", "expected")]

    @property
    def exact(self):
        other = {program for program, _ in self.missing + self.named + self.extra}
        return len(self.rows) - len(other)

    @property
    def blind_spots(self):
        """Blind spots of this kernel, without those of every kernel."""
        spots = [spot for spot in self.profile.get("blind_spots", []) if spot.get("recorder") == "ebpf"]
        return [text(spot) for spot in spots] + self.ebpf.get("not_observed", [])

    def print(self):
        """Prints the Test Anything Protocol for tests/harness. Returns the number of tests, and of failed tests."""
        lines = [line for test in self.tests.values() for line in test]
        number, failed = len(self.tests), sum(line.startswith("not ok") for line in lines)
        for name, log in [
            # A program that is too large for a kernel would otherwise go unnoticed, because capprof falls back to a method that sees less.
            ("no_program_is_refused", self.refused),
            ("end", [self.problem, *self.log.splitlines()[-12:]] if self.problem else []),
        ]:
            verdict = "not ok" if log else "ok"
            lines.append(f"{verdict} - {self.kernel.series}-{self.kernel.suite}/{name}")
            if log:
                lines.append("  ---\n" + "".join(f"  {line}\n" for line in log) + "  ...")
            number, failed = number + 1, failed + bool(log)
        for line in lines:
            print(line)
        sys.stdout.flush()
        return number, failed


def text(spot):
    name = spot.get("capability")
    return f"{name}: {spot['reason']}" if name else spot["reason"]


def listed(programs):
    return ", ".join(f"{program} ({', '.join(name.removeprefix('CAP_') for name in rest)})" for program, rest in programs) or "-"


def rows(results):
    """The table of kernels."""
    yield "| Linux | of | attached by | exact | missing | named | extra | s |"
    yield "|---|---|---|--:|--:|--:|--:|--:|"
    for result in results:
        if result.problem:
            yield f"| {result.release or result.kernel.series} | {result.kernel.suite} | {result.problem} | | | | | |"
            continue
        method = f"`{result.method}`".replace(", ", "`, `")
        counts = " | ".join(str(len(part)) for part in (result.missing, result.named, result.extra))
        yield f"| {result.release} | {result.kernel.suite} | {method} | {result.exact} of {len(result.rows)} | {counts} | {result.seconds:.0f} |"


def differences(results):
    """Programs whose answer differs from the needed set, with the kernels."""
    found = {}
    for result in results:
        for what in ("missing", "named", "extra"):
            for program, rest in getattr(result, what):
                names = ", ".join(f"`{name.removeprefix('CAP_')}`" for name in rest)
                found.setdefault((program, what, names), []).append(result.kernel.series)
    yield "| program | what | capability | kernels |"
    yield "|---|---|---|---|"
    for (program, what, names), series in sorted(found.items()):
        unique = list(dict.fromkeys(series))
        every = list(dict.fromkeys(result.kernel.series for result in results if not result.problem))
        yield f"| {program} | {what} | {names} | {'all' if unique == every else ', '.join(unique)} |"


def blind(results):
    """The blind spots, with the kernels."""
    found = {}
    for result in results:
        for line in result.blind_spots:
            found.setdefault(line, []).append(result.kernel.series)
    yield "| what eBPF does not see | kernels |"
    yield "|---|---|"
    for line, series in sorted(found.items(), key=lambda item: item[1]):
        yield f"| {line.replace('|', '/')} | {', '.join(dict.fromkeys(series))} |"


def summary(results):
    """README's table, with one row for all kernels that attach in the same way."""
    groups = {}
    for result in results:
        key = (result.method or "no eBPF", tuple(result.blind_spots))
        groups.setdefault(key, []).append(result)
    yield "| Linux | eBPF attaches by | programs with exactly their set | not seen |"
    yield "|---|---|--:|---|"
    for (method, blind_spots), group in groups.items():
        series = list(dict.fromkeys(result.kernel.series for result in group))
        span = ", ".join(series)
        exact = min(group, key=lambda result: result.exact)
        yield f"| {span} | {method} | {exact.exact} of {len(exact.rows)} | {'; '.join(blind_spots) or '-'} |"


def replace_block(file, name, lines):
    """Replaces the lines between the marks of a block."""
    content = file.read_text()
    begin, end = f"<!-- {name}: made by tests/kernels/run --write -->", f"<!-- end of {name} -->"
    before, rest = content.split(begin)
    _, after = rest.split(end)
    file.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + after)


def write(results, architecture):
    """Writes the tables of an architecture; README has one for the kernels of x86-64."""
    on = "" if architecture == "amd64" else f" on {architecture}"
    replace_block(PAGE, f"kernels{on}", list(rows(results)))
    replace_block(PAGE, f"differences{on}", list(differences(results)))
    replace_block(PAGE, f"blind spots{on}", list(blind(results)))
    if not on:
        replace_block(README, "kernels", list(summary(results)))
