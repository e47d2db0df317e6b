# SPDX-License-Identifier: Apache-2.0
"""The reviewed table, and the extracts with which it is compared."""

import json
import re
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE, SITES = HERE / "table", HERE / "sites"

CLASSES = {
    "refuses": "the system call fails, or does not do what it is asked",
    "less": "the system call does or shows less",
    "hardening": "only a hardening is left out",
    "early": "asked before it is known whether the answer matters",
    "other": "the kernel acts for another process",
    "helper": "hands the question on for its caller",
}
REQUIRED = ("file", "function", "capability", "helper", "n", "read", "class", "without", "plain")
OPTIONAL = ("asked", "or", "and", "unless", "decides", "who", "callers", "rule", "unseen", "proof")
COLUMNS = ("file", "function", "capability", "helper", "n", "digest", "namespace", "silent", "built")


def key(entry, n):
    """The key of a place in every version."""
    return entry["file"], entry["function"], entry["capability"], entry["helper"], n


def entries():
    """All entries, with their file and line."""
    for path in sorted(TABLE.glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.name}:{number}", json.loads(line)


def sites(kernel):
    """The places of one kernel, as they were extracted."""
    lines = (SITES / f"{kernel}.tsv").read_text().splitlines()
    return [dict(zip(COLUMNS, line.split("\t"), strict=False)) for line in lines if not line.startswith("#")]


def write_sites(kernel, package, found):
    """Stores an extraction: a line for each place, in the order of files and functions, without line numbers."""
    lines = sorted("\t".join(str(site[column]) for column in COLUMNS) for site in found)
    head = f"# {package}, made by `make atlas`: " + " ".join(COLUMNS)
    (SITES / f"{kernel}.tsv").write_text("\n".join([head, *lines]) + "\n")


def kernels():
    """The kernels with extracts, oldest first."""
    return sorted((path.stem for path in SITES.glob("*.tsv")), key=lambda name: [int(part) for part in name.split(".")])


def index():
    """One or more entries by place: a place may have another purpose in another version, and its digests distinguish these."""
    found = {}
    for _, entry in entries():
        for n in entry["n"]:
            found.setdefault(key(entry, n), []).append(entry)
    return found


def entry_of(by_place, site):
    """The entry for a place of a kernel, if it was read in this form."""
    return next((e for e in by_place.get(key(site, int(site["n"])), []) if site["digest"] in e["read"]), None)


def differences(kernel):
    """The differences: new places of a kernel, places that were read in another form, and entries that no kernel has."""
    by_place, new, changed = index(), [], []
    for site in sites(kernel):
        if entry_of(by_place, site) is None:
            (changed if key(site, int(site["n"])) in by_place else new).append(site)
    return new, changed


# Helpers that also accept CAP_SYS_ADMIN, and helpers that check another process than the one that makes the system call.
SYS_ADMIN_TOO = ("perfmon_capable", "bpf_capable", "bpf_net_capable", "bpf_token_capable", "checkpoint_restore_ns_capable", "checkpoint_restore_ns_capable_noaudit")
ASK_OTHERS = ("file_ns_capable", "ptracer_capable", "has_ns_capability")
# The name of an ioctl, or of a mark that its kind carries; an error is no name.
NAME = re.compile(r"\b(?!E[A-Z]+\b)[A-Z][A-Z0-9_]{4,}\b")
# Functions in headers that are called by their address: the compiler puts them into no caller.
BY_ADDRESS = ("pid_mfd_noexec_dointvec_minmax",)


def contradictions(entry, found):
    """What an entry says of its places, `found` in the extracts, that the helper's own code or the extracts contradict."""
    if len({site["silent"] for site in found}) > 1:
        yield "its places leave an audit record and leave none: it needs an entry for each"
    if "proof" in entry and all(site["built"] == "no" for site in found):
        yield "no kernel is built with it: it has no `proof`"
    if entry["class"] == "helper":
        return
    if entry["file"].endswith(".h") and "callers" not in entry and entry["function"] not in BY_ADDRESS:
        yield "a function of a header is in line where it is called: `callers`"
    if entry["helper"] in SYS_ADMIN_TOO and entry["capability"] != "SYS_ADMIN" and "SYS_ADMIN" not in entry.get("or", []):
        yield f"{entry['helper']}() accepts SYS_ADMIN: it belongs into `or`"
    if entry["helper"] in ASK_OTHERS and "who" not in entry:
        yield f"{entry['helper']}() asks another than the caller: `who`"
    if entry["helper"] == "cap_raised" and entry["class"] == "refuses" and "unseen" not in entry:
        yield "no recorder sees that sets are compared: `unseen`"
    if entry["class"] == "other" and "who" not in entry and "rule" not in entry:
        yield "somebody else is asked: `who`, or the `rule` that knows why not"
    # "The driver's ioctl" reads as all of them, but many drivers let some pass.
    if re.search(r"\bioctls?\b", entry["without"]) and not re.search(r"\bany\b", entry["without"]) and not NAME.search(entry["without"]):
        yield "names no ioctl(2): name those that are refused, or say that it is any"


def problems():
    """The faults of the table by itself and in comparison with the extracts, one line each."""
    by_place, used = index(), {}
    for kernel in kernels():
        for site in sites(kernel):
            entry = entry_of(by_place, site)
            if entry is None:
                place = f"{site['file']}: {site['function']} asks for {site['capability']} ({site['helper']} {site['n']})"
                yield f"{kernel}: {place}: no entry, or it was read in another form"
            else:
                used.setdefault(json.dumps(entry), []).append(site)
    seen = Counter()
    for where, entry in entries():
        missing = [name for name in REQUIRED if name not in entry]
        if missing:
            yield f"{where}: no field {', '.join(missing)}"
            continue
        yield from (f"{where}: unknown field {name}" for name in entry if name not in REQUIRED + OPTIONAL)
        if entry["class"] not in CLASSES:
            yield f"{where}: unknown class {entry['class']}"
        if (entry["class"] == "early") != ("decides" in entry):
            yield f"{where}: `decides` stands with the class `early`, and only there"
        if json.dumps(entry) not in used:
            yield f"{where}: no kernel has it"
        yield from (f"{where}: {text}" for text in contradictions(entry, used.get(json.dumps(entry), [])))
        seen.update((*key(entry, n), digest) for n in entry["n"] for digest in entry["read"])
    yield from (f"{' '.join(map(str, place))}: {times} entries" for place, times in seen.items() if times > 1)
