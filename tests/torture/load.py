# SPDX-License-Identifier: Apache-2.0
"""Many containers at a time, of different programs: the profile of each equals the one that the same program gets alone. They alternate with the bare
runtime, so that other load on the machine affects both."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import time

from result import Result

AT_A_TIME = 64
STORM = "i=0; while [ $i -lt {} ]; do /bin/busybox true; i=$((i+1)); done"
PROGRAMS = {
    "nothing": ["/bin/corpus", "noop"],
    "chown": ["/bin/corpus", "chown"],
    "fowner": ["/bin/corpus", "fowner-chmod"],
    "dac": ["/bin/corpus", "dac_override-write"],
    "several": ["/bin/sh", "-c", "/bin/corpus chown; /bin/corpus sys_chroot; /bin/corpus dac_override-create"],
    # Executions: each adds a row for its program, and a process to follow.
    "storm": ["/bin/sh", "-c", STORM.format(100) + "; /bin/corpus chown"],
}


def bundles(world, prefix):
    """One bundle for each program, on one root file system; many containers use each."""
    config = json.loads(world.configuration)
    config["root"]["path"] = str(world.bundle / "rootfs")
    # Two mounts of overlayfs cannot share an upper directory.
    config["mounts"] = [mount for mount in config["mounts"] if mount["type"] != "overlay"]
    found = {}
    for name, arguments in PROGRAMS.items():
        found[name] = world.work / f"{prefix}-{name}"
        found[name].mkdir()
        (found[name] / "config.json").write_text(json.dumps({**config, "process": {**config["process"], "args": arguments}}))
    return found


def start(world, program, bundle, identifier):
    """Runs a container to its end. Returns the problems."""
    command = [*program, *world.globals, "run", "--bundle", str(bundle), identifier]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300,
                            env={**os.environ, "CAPPROF_CONFIG": str(world.config)})
    return [] if result.returncode == 0 else [f"{identifier}: {result.returncode}: {result.stderr.decode(errors='replace')}"]


def many(world, program, made, prefix, numbers):
    """(seconds, problems) of the containers with these numbers, all at the same time."""
    names = list(made)
    begun = time.time()
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        work = [pool.submit(start, world, program, made[names[number % len(names)]], f"{prefix}-{names[number % len(names)]}-{number}") for number in numbers]
        problems = [line for one in work for line in one.result()]
    return time.time() - begun, problems


def in_turns(world, capprof, runtime, made, bare, count):
    """(seconds with capprof, seconds without, problems) of this many containers of each."""
    sums, problems = [0.0, 0.0], []
    for first in range(0, count, AT_A_TIME):
        numbers = range(first, min(first + AT_A_TIME, count))
        turns = [(0, capprof, made, "c"), (1, [runtime], bare, "bare")]
        # The order alternates, because the second finds the caches as the first has left them.
        for place, program, bundles_of, prefix in turns if first // AT_A_TIME % 2 == 0 else reversed(turns):
            seconds, found = many(world, program, bundles_of, prefix, numbers)
            sums[place] += seconds
            problems += found
    return *sums, problems


def essence(profile):
    """The part of a profile that does not depend on a container's time, place and id."""
    return {"complete": profile["complete"], "because": profile["incomplete_because"], "minimized": profile["minimized"],
            "needed": sorted((need["capability"], json.dumps(need.get("evidence"), sort_keys=True)) for need in profile["needed"]),
            "blind": sorted(json.dumps(spot, sort_keys=True) for spot in profile["blind_spots"])}


def load(options, runtime, world):
    result = Result(f"load/{runtime}")
    if options.text not in result.name:
        return []
    begun = time.time()
    try:
        made, bare = bundles(world, "bundle"), bundles(world, "bare")
        count = options.containers // len(options.runtime)
        capprof = [str(world.bin / "capprof")]
        expected = {}
        for name, bundle in made.items():
            result.problems += start(world, capprof, bundle, f"alone-{name}")
            expected[name] = essence(world.profiles(f"alone-{name}")[0])
        # Without capprof, the programs need the capabilities that it found.
        for name, bundle in made.items():
            shutil.copy(bundle / "config.minimized.json", bare[name] / "config.json")
        seconds, alone, problems = in_turns(world, capprof, runtime, made, bare, count)
        result.problems += problems
        for number in range(count):
            name = list(made)[number % len(made)]
            profiles = world.profiles(f"c-{name}-{number}")
            if [essence(profile) for profile in profiles] != [expected[name]]:
                result.problems.append(f"c-{name}-{number}: {[essence(profile) for profile in profiles]} for {expected[name]}")
        for bundle in made.values():
            if {path.name for path in bundle.iterdir()} - {"config.json", "capprof.json", "config.minimized.json"}:
                result.problems.append(f"left in {bundle}: {sorted(bundle.iterdir())}")
        result.problems += world.sweep() + world.left()
        result.containers = len(made) + count
        result.times = seconds / alone
        print(f"# load/{runtime}: {count} containers, {AT_A_TIME} at a time: {seconds:.1f} s, bare {alone:.1f} s, {result.times:.2f} times", flush=True)
    except Exception as error:  # a defect of the suite fails the test instead of losing it
        result.problems.append(repr(error))
    result.seconds = time.time() - begun
    return [result]
