# SPDX-License-Identifier: Apache-2.0
"""Commands that are measured in turns, and the table of the results."""
import os
import statistics
import subprocess
import sys
import tempfile
import time

BARE, FLOOR, BEFORE, NOW = "bare", "floor", "before", "now"
COLUMNS = (BARE, FLOOR, BEFORE, NOW)


class Table:
    """Rows with a column for the bare runtime, the floor (programs that do nothing in place of capprof's), and each build."""

    def __init__(self, columns):
        self.columns = [column for column in COLUMNS if column in columns]
        self.missed = []
        print(f"{'':<46}" + "".join(f"{column:>24}" for column in self.columns) + "   wanted", flush=True)

    def row(self, name, unit, samples, wanted=None, judge=None):
        """Prints medians, and in brackets the quartiles. `wanted` is the largest allowed result of `judge` on the medians; the default judges the last column."""
        medians = {column: statistics.median(values) for column, values in samples.items() if values}
        text = f"{name + ', ' + unit:<46}"
        for column in self.columns:
            text += f"{shown(samples.get(column)):>24}"
        if wanted is not None and NOW in medians:
            reached = judge(medians) if judge else medians[NOW]
            verdict = "reached" if reached <= wanted else "MISSED"
            if reached > wanted:
                self.missed.append(name)
            text += f"   {wanted:g}: {reached:.3g}, {verdict}"
        print(text, flush=True)
        return medians

    def skipped(self, name, reason):
        print(f"{name:<46} skipped: {reason}", flush=True)


def shown(values):
    if not values:
        return ""
    median = statistics.median(values)
    if len(values) < 4:
        return f"{number(median)} [{number(min(values))} {number(max(values))}]" if len(values) > 1 else number(median)
    low, _, high = statistics.quantiles(values, n=4)
    return f"{number(median)} [{number(low)} {number(high)}]"


def number(value):
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


class Used:
    """The cost of a command: wall time and processor time, in ms."""

    def __init__(self, wall, usage):
        self.wall = wall * 1000
        self.processor = (usage.ru_utime + usage.ru_stime) * 1000


def run(arguments, stdin=None, env=None, output=os.devnull):
    """Runs a command to its end, which must be a success."""
    # posix_spawn, not subprocess: the time to copy this process's pages does not belong to the command.
    with tempfile.TemporaryFile() as errors:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, stdin or os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        start = time.perf_counter()
        child = os.posix_spawnp(arguments[0], arguments, env or os.environ, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
        used = Used(time.perf_counter() - start, usage)
        if status != 0:
            errors.seek(0)
            sys.exit(f"bench: {arguments}: status {os.waitstatus_to_exitcode(status)}: {errors.read().decode(errors='replace')}")
        return used


def in_turns(count, commands):
    """Runs each of these functions `count` times, in turns, each time beginning with another one. Returns what each returned, by its name."""
    found = {name: [] for name in commands}
    names = list(commands)
    for turn in range(count):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            found[name].append(commands[name]())
    return found


def memory(arguments, stdin=None, env=None, output=os.devnull):
    """Peak resident memory of one command, in MiB. time(1) starts it, whose own memory is less than that of this program."""
    with tempfile.NamedTemporaryFile("r") as report:
        run(["/usr/bin/time", "-o", report.name, "-f", "%M", *arguments], stdin, env, output)
        return int(report.read()) / 1024


def system_calls(arguments, stdin=None, env=None):
    """The number of system calls of a command with its children, and the number of these that wait for a disk (strace(1))."""
    with tempfile.NamedTemporaryFile("r") as report:
        run(["strace", "-f", "-c", "-U", "calls,name", "-o", report.name, *arguments], stdin, env)
        calls = {}
        for line in report:
            fields = line.split()
            if len(fields) == 2 and fields[0].isdigit():
                calls[fields[1]] = int(fields[0])
    return calls.pop("total", sum(calls.values())), calls.get("fsync", 0) + calls.get("fdatasync", 0)


def compiled(source, output, *options):
    subprocess.run(["cc", "-O2", *options, "-o", output, "-x", "c", "-"], input=source, text=True, check=True)
    return output
