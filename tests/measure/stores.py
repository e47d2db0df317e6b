# SPDX-License-Identifier: Apache-2.0
"""The cost of capprofctl with a store of very many profiles."""
import glob
import hashlib
import json
import os
import shutil
import subprocess
import time

from containers import Bundle, Place
from table import in_turns, memory, run


def filled(work, program, build, count):
    """A store with this many copies of a real profile, each of a container of its own."""
    place = Place(work, "sample", "runc")
    bundle = Bundle(os.path.join(work, "sample-bundle"), program)
    bundle.write(["/bin/corpus", "audit_write"])
    run([build.capprof, "--root", os.path.join(work, "runtime"), "run", "--bundle", bundle.path, place.name()], env=place.environment)
    run([build.hook, "recover", "--state", place.state, "--unload"])
    with open(glob.glob(f"{place.path}/store/profiles/*/*/capprof.json")[0]) as file:
        profile = json.load(file)
    store = os.path.join(work, "large")
    for number in range(count):
        container = hashlib.sha256(str(number).encode()).hexdigest()
        day, second = divmod(number, 86400)
        recording = f"202601{1 + day:02}T{second // 3600:02}{second // 60 % 60:02}{second % 60:02}Z-{container[:8]}"
        profile.update(recording_id=recording, container_id=container, name=f"job-{number}" if number % 10 == 0 else None)
        profile["workload"].update(image=f"docker.io/library/app{number % 200}:1.{number % 7}", container=f"c{number}")
        directory = os.path.join(store, "profiles", container, recording)
        os.makedirs(directory, 0o700)
        for name, text in (("capprof.json", json.dumps(profile, indent=2)), ("config.minimized.json", "{}")):
            with open(os.path.join(directory, name), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text + "\n")
    for path in (store, os.path.join(store, "profiles")):
        os.chmod(path, 0o700)
    return store


def stores(table, work, program, builds, count, rounds):
    store = filled(work, program, next(reversed(builds.values())), count)
    all_profiles = os.path.join(work, "all.json")
    with open(all_profiles, "wb") as output:
        for path in sorted(glob.glob(f"{store}/profiles/*/*/capprof.json")):
            with open(path, "rb") as file:
                output.write(file.read())
    configuration = os.path.join(work, "large.toml")
    with open(configuration, "w") as file:
        file.write(f'store = "{store}"\n')
    environment = dict(os.environ, CAPPROF_CONFIG=configuration)
    wanted = {"list": (0.25, 20), "report NAME": (0.1, None), "merge -": (5, 60)}
    for name, arguments, stdin in (
        ("list", ["list"], None),
        ("report NAME", ["report", f"job-{count // 2 // 10 * 10}"], None),
        ("merge -", ["merge", "--mixed", "--format", "json", "-"], all_profiles),
    ):
        commands = {}
        for label, build in builds.items():
            def command(build=build, arguments=arguments, stdin=stdin):
                try:
                    return run([build.ctl, *arguments], stdin=stdin, env=environment)
                except SystemExit as error:
                    return str(error)
            commands[label] = command
        # These files are new, and an index trusts only files older than two seconds.
        for command in commands.values():
            command()
        found = in_turns(rounds, commands)
        for label, values in list(found.items()):
            if isinstance(values[0], str):
                table.skipped(f"{name}, {count} profiles, {label}", values[0].strip()[-200:])
                del found[label]
        seconds, mebibytes = wanted[name]
        table.row(f"{name}, {count} profiles, wall", "s", {label: [used.wall / 1000 for used in values] for label, values in found.items()}, seconds)
        table.row(f"{name}, {count} profiles, processor", "s",
                  {label: [used.processor / 1000 for used in values] for label, values in found.items()})
        table.row(f"{name}, {count} profiles, peak memory", "MiB",
                  {label: [memory([builds[label].ctl, *arguments], stdin, environment)] for label in found}, mebibytes)
    for name, arguments in (("prune --keep 3", ["--keep", "3"]), ("prune of all", ["--older-than", "9999-01-01"])):
        pruned(table, work, store, builds, (f"{name}, {count} profiles", arguments), rounds)


def pruned(table, work, store, builds, what, rounds):
    """Each turn has a copy of the store, with an index as `list` leaves it."""
    name, arguments = what
    copy, configuration = os.path.join(work, "copy"), os.path.join(work, "copy.toml")
    with open(configuration, "w") as file:
        file.write(f'store = "{copy}"\n')
    environment = dict(os.environ, CAPPROF_CONFIG=configuration)
    builds = {label: build for label, build in builds.items() if knows_prune(build)}

    def turn(build):
        run(["cp", "-a", store, copy])
        # An index trusts only files older than two seconds.
        time.sleep(3)
        run([build.ctl, "list"], env=environment)
        used = run([build.ctl, "prune", *arguments], env=environment)
        shutil.rmtree(copy)
        return used

    found = in_turns(rounds, {label: lambda build=build: turn(build) for label, build in builds.items()})
    table.row(f"{name}, wall", "s", {label: [used.wall / 1000 for used in values] for label, values in found.items()}, 5)
    table.row(f"{name}, processor", "s", {label: [used.processor / 1000 for used in values] for label, values in found.items()})


def knows_prune(build):
    return subprocess.run([build.ctl, "prune", "--help"], capture_output=True).returncode == 0
