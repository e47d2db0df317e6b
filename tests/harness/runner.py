# SPDX-License-Identifier: Apache-2.0
"""Runs suites in lanes, each to its end, and closes with the sum over all of them."""

import os
import pathlib
import signal
import subprocess
import threading
import time

from harness.suites import SUITES
from harness.tap import Reader, Test


class Run:
    """One call of tests/run. `chosen` maps each suite to the names of the tests to run; an empty list means all of them."""

    def __init__(self, chosen, binaries, rows, shard=None):
        self.chosen, self.binaries, self.rows, self.shard = chosen, binaries, pathlib.Path(rows), shard
        # Guards `waiting` and `ended`, and is notified at each end of a suite.
        self.turn = threading.Condition()
        self.waiting, self.ended = list(chosen), set()
        self.good = {}
        self.results = {}
        self.minutes = {}
        self.printing = threading.Lock()
        self.processes = set()

    def command(self, suite, tests):
        command = [*suite.one, *tests] if tests else list(suite.command)
        if self.shard and suite.shards:
            command += ["--shard", self.shard]
        if suite.name == "servers" and not tests:
            command += ["--rows", str(self.rows / "servers.rows")]
        if suite.name == "accuracy":
            command += [str(path) for path in sorted(self.rows.glob("*.rows"))]
        return [word.replace("@BIN", str(self.binaries)) for word in command]

    def execute(self, suite, tests):
        """Runs one suite. Returns its tests, its output, and the seconds it took."""
        reader, output = Reader(), []
        environment = {**os.environ, "CAPPROF_E2E_ROWS": str(self.rows / f"{suite.name}.rows")} if suite.rows else dict(os.environ)
        start = time.monotonic()
        process = subprocess.Popen(self.command(suite, tests), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", env=environment, start_new_session=True)
        self.processes.add(process.pid)
        why = []

        def expire():
            why.append(f"took longer than its limit of {suite.limit} s")
            self.stop(process.pid)

        timer = threading.Timer(suite.limit, expire)
        timer.start()
        for line in process.stdout:
            output.append(line)
            if not suite.plain:
                reader.feed(line)
        status = process.wait()
        timer.cancel()
        self.processes.discard(process.pid)
        seconds = time.monotonic() - start
        if suite.plain:
            reader.tests.append(Test("end", "passed" if status == 0 else "failed", seconds, log=[] if status == 0 else [line.rstrip() for line in output[-60:]]))
        else:
            reader.end(status, *why)
        return reader.tests, output, seconds

    @staticmethod
    def stop(group):
        """Asks a suite to end, and kills it ten seconds later."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(group, number)
            except ProcessLookupError:
                return
            time.sleep(10 if number == signal.SIGTERM else 0)

    def suite(self, name):
        suite = SUITES[name]
        missing = [other for other in suite.needs if not self.good.get(other, True)]
        if missing:
            tests, output, seconds = [Test("end", "failed", log=[f"not run: {missing[0]} failed"])], [], 0.0
        else:
            tests, output, seconds = self.execute(suite, self.chosen[name])
        self.results[name], self.minutes[name] = tests, seconds / 60
        self.good[name] = not any(test.verdict == "failed" for test in tests)
        with self.printing:
            print(f"\n== {name}")
            print("".join(output), end="")
            print(f"suite {name}: {summary(tests)}, in {seconds:.0f} s", flush=True)

    def ready(self, name):
        """Returns true if each suite that must have ended before this one has, or is not run at all."""
        return all(other in self.ended or other not in self.chosen for other in (*SUITES[name].needs, *SUITES[name].after))

    def take(self, lane):
        """Takes the next suite for a lane: the first of its own that is ready, else the first shared one. Returns None if none is left for it."""
        with self.turn:
            while True:
                mine = [name for kind in (lane, "any") for name in self.waiting if SUITES[name].lane == kind]
                if not mine:
                    return None
                for name in filter(self.ready, mine):
                    self.waiting.remove(name)
                    return name
                self.turn.wait()

    def lane(self, lane):
        """Runs suites one after the other. A suite that is not ready holds up none that is."""
        while name := self.take(lane):
            try:
                self.suite(name)
            finally:
                with self.turn:
                    self.ended.add(name)
                    self.turn.notify_all()

    def run(self):
        threads = [threading.Thread(target=self.lane, args=(lane,), daemon=True) for lane in ("host", "guest")]
        # Each suite has its own session and would continue.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            for group in list(self.processes):
                self.stop(group)
            raise

    def close(self, slowest=10):
        """Prints the slowest tests, the logs of the failed tests, and the sum. Returns the exit status."""
        everything = [(name, test) for name in self.chosen for test in self.results[name]]
        timed = sorted((entry for entry in everything if entry[1].seconds and not SUITES[entry[0]].plain), key=lambda entry: -entry[1].seconds)
        if timed:
            print("\n== slowest")
            for name, test in timed[:slowest]:
                print(f"{test.seconds:8.1f} s  {name}/{test.name}")
        failed = [(name, test) for name, test in everything if test.verdict == "failed"]
        if failed:
            print("\n== failed")
            for name, test in failed:
                print(f"{name}/{test.name}")
                for line in test.log:
                    print(f"    {line}")
        print(f"\n{summary([test for _, test in everything])}")
        return 1 if failed else 0


def summary(tests):
    counts = {verdict: sum(test.verdict == verdict for test in tests) for verdict in ("passed", "failed", "skipped")}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
