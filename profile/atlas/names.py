# SPDX-License-Identifier: Apache-2.0
"""Makes sure that names of kernel functions are in the atlas alone, and not in capprof's sources."""

import json
import re

import table

ROOT = table.HERE.parent.parent
PATHS = table.HERE / "paths.jsonl"
SOURCES = ("profile/src", "store/src", "shim/src", "hooks/src", "ctl/src")
# Files that also have names of the atlas, with the reasons.
ALLOWED = {
    ("hooks/src/ebpf/programs.rs", "cap_capable"): "what the recorder's programs attach to",
    ("hooks/src/ebpf/symbols.rs", "cap_capable"): "the function at whose end the recorder stands",
    ("profile/src/why/rank.rs", "io_uring_setup"): "a system call",
    ("profile/src/why/sysctls_and_limits.rs", "io_uring_setup"): "a system call",
    ("hooks/src/why/process.rs", "io_uring_setup"): "a system call",
    ("hooks/src/ebpf/call_object.rs", "sched_setaffinity"): "a system call",
    ("ctl/src/render/object.rs", "sched_setaffinity"): "a system call",
    ("hooks/src/why/records.rs", "security_capable"): "where the kernel asks all security modules",
    ("profile/src/why/decide.rs", "capable"): "part of the names of all helpers",
    ("profile/src/why/sysctls_and_limits.rs", "capable"): "a cause, in the report of `capprofctl why`",
}


def paths():
    """The named paths, one after the other."""
    return [json.loads(line) for line in PATHS.read_text().splitlines()]


def known():
    """All functions that the table or a path names."""
    found = set()
    for _, entry in table.entries():
        found.update([entry["function"], *entry.get("callers", [])])
    for path in paths():
        found.update(path["functions"])
    return found


def code(text):
    """A Rust file without its tests and comments."""
    return re.sub(r"^\s*//.*$", "", text.split("#[cfg(test)]\nmod tests {")[0], flags=re.M)


def problems():
    """Names that are in the sources and in the atlas, and paths that no code uses, one line each."""
    functions, sources = known(), {}
    for directory in SOURCES:
        for path in sorted((ROOT / directory).rglob("*.rs")):
            name = str(path.relative_to(ROOT))
            if "/tests" not in name and not name.endswith("/fixtures.rs"):
                sources[name] = code(path.read_text())
    used = set()
    for name, text in sources.items():
        for function in sorted(set(re.findall(r'"([A-Za-z_]\w{3,})"', text)) & functions):
            used.add((name, function))
            if (name, function) not in ALLOWED:
                yield f"{name}: {function} stands in the atlas: take it from there (profile/atlas/paths.jsonl, or `rule` in the table)"
    yield from (f"profile/atlas/names.py: {name} does not name {function} any more" for name, function in ALLOWED if (name, function) not in used)
    names = [path["path"] for path in paths()]
    yield from (f"paths.jsonl: {name} twice" for name in set(names) if names.count(name) > 1)
    for name in names:
        constant = f"paths::{name.replace('-', '_').upper()}"
        if not any(re.search(rf"{constant}\b", text) for text in sources.values()):
            yield f"paths.jsonl: nothing uses {constant}"
