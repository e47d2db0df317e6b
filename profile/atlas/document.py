# SPDX-License-Identifier: Apache-2.0
"""Makes docs/atlas.md from the table and the extracts."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import table

OUTPUT = Path(__file__).resolve().parent.parent.parent / "docs/atlas.md"
WORDS = {
    "refuses": "refused without",
    "less": "done with less without",
    "hardening": "hardened without",
    "early": "asked early",
    "other": "asked for another process",
    "helper": "asked for its caller",
}

HEAD = """# The atlas

Linux asks for capabilities at about 1,500 places.
This page lists all of them for {kernels}, as Debian ships these kernels.
It says what the answer is for at each place.

`make atlas` finds the places with a C parser in Debian's `linux-source` packages.
People read each place in the source and wrote down what they found, in `profile/atlas/table`.
A place that nobody has read in the form that a kernel has it is an error of `profile/atlas/atlas check`.
What is done with less or asked early outside of drivers, and ten places of each class drawn at random, were read a second time on 2026-11-27, as Linux 6.12 has them.
Of these 185 entries 18 had words that were wrong (five mistakes, 14 of the entries with the same one); they are mended.
Of 45 more places outside of drivers that refuse, each was right.
Of 51 drawn anew later that day (ten of each class, or all where there are fewer), three had words that were too wide or of another moment; they are mended.
Somebody else read the whole table against the three kernels on 2026-11-28; this and the draws below mended some 380 of the 1,658 entries.
Most of these named system calls that another function refuses, or promised all where the kernel gives a part.
After that ten places of each class of Linux 6.12 were drawn again and again, in some draws places of 6.1 and 7.3, too.
What was wrong in a draw was mended in all entries of its kind before the next:

| seed | read | wrong |
|---|---|---|
| 2811 | 51 | 6 |
| 230 | 51 | 2 |
| 1128 | 69 | 3 |
| 2026 | 63 | 1 |
| 6021 | 40 | 5 |
| 77 | 56 | 2 |
| 4242 | 56 | 2 |
| 99 | 56 | 1 |
| 2323 | 56 | 1 |
| 31 | 56 | 0 |

A draw is `random.Random(seed).sample` of the places in the order of `profile/atlas/sites`, for each kernel anew.
After that a reader who had written none of it drew ten entries of each class of the whole table, with one `random.Random(seed)` for all classes, and judged all before mending any.
With seed 20261128 13 of 56 were wrong: sentences about more than the place guards, a wrong class, and whom overlayfs asks.
With seed 20261129 2 of 53 were wrong: a function in line without its callers, and a stub that is not compiled.
With seed 20261130 3 of 53 were wrong: a limit too many, an error that the caller replaces, and a caller that is none.
With seed 20261201 1 of 53 was wrong: it did not say that a graphics card's master needs no capability.
These 19 and 42 entries of their kinds are mended.
A third reader, who had not seen the table, judged the draw with seed 20261130 once more; the mended table gave the same 53 entries.
2 of the 53 were wrong, and the reader before had passed both: flags of a serial port that every user may change, and an error that another function gives first.
These 2 and 6 entries of their kinds are mended.
A fourth reader, who had not seen the table, drew once with seed 777000111.
5 of 53 were wrong: a function's name that a macro makes, the namespace of a token that a new program does not have, and the error of a project's quota.
The other two: a limit that Linux 7.3 has for changes only, and the mounter where the process that opens a file by its handle is asked.
These 5 and 4 entries of their kinds are mended.

`atlas check` holds the entries against what their helpers do, too: which capabilities one accepts, whom it asks, and that the places of one entry agree whether a record is left.
It also wants each ioctl(2) by name where not any is refused, the callers of what a header puts in line, and no proof of what no kernel is built with.

capprof itself uses the same data: `capprofctl explain` shows them, and the report takes its sentences from them.

## Classes

| class | meaning |
|---|---|
| refused without | the system call fails, or does not do what it is asked |
| done with less without | the system call does less or shows less |
| hardened without | the kernel leaves a hardening out for the privileged |
| asked early | the kernel asks before it knows if the answer matters; something else decides then |
| asked for another process | the kernel asks for its own purposes, or checks other credentials than those of the process |
| asked for its caller | a helper hands the question on |

## Places by class

*Built* counts the places that are in Debian's amd64 kernel, as built-in code or as a module.

"""


def number(count):
    """A count for a table; empty for zero."""
    return f"{count:,}" if count else ""


def by_class(kernels, found):
    lines = ["| class | " + " | ".join(f"{kernel} | built" for kernel in kernels) + " |", "|---|" + "---:|---:|" * len(kernels)]
    for name in [*table.CLASSES, None]:
        cells = []
        for kernel in kernels:
            places = [site for site, entry in found[kernel] if name is None or entry["class"] == name]
            cells += [number(len(places)), number(sum(site["built"] == "yes" for site in places))]
        lines.append(f"| {WORDS[name] if name else '**all**'} | " + " | ".join(cells) + " |")
    return lines


def capabilities(entry):
    """The capability of an entry; `any` if an argument of the system call names it."""
    return entry.get("asked") or entry["capability"].replace("variable", "any").split("|")


def title(capability):
    """The form of a capability in headings and tables."""
    return "any capability" if capability == "any" else f"CAP_{capability}"


def by_capability(kernel, found):
    names = [name for name in table.CLASSES if name != "helper"]
    counts = defaultdict(Counter)
    for site, entry in found[kernel]:
        if entry["class"] != "helper" and site["built"] == "yes":
            for capability in capabilities(entry):
                counts[capability][entry["class"]] += 1
    lines = ["| capability | " + " | ".join(WORDS[name] for name in names) + " | all |", "|---|" + "---:|" * (len(names) + 1)]
    for capability, count in sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        lines.append(f"| {title(capability)} | " + " | ".join(number(count[name]) for name in names) + f" | {sum(count.values()):,} |")
    return lines


def places(kernels, found):
    """Each purpose once, by capability: the act, the effect without the capability, and the functions that ask."""
    groups = defaultdict(lambda: defaultdict(lambda: ([], set(), set())))
    for kernel in kernels:
        for _, entry in found[kernel]:
            if entry["class"] == "helper":
                continue
            for capability in capabilities(entry):
                where, present, proofs = groups[capability][entry["plain"], entry["without"], entry["class"]]
                name = f"{entry['function']}() in {entry['file']}"
                if name not in where:
                    where.append(name)
                present.add(kernel)
                if "proof" in entry:
                    proofs.add(entry["proof"])
    for capability in sorted(groups):
        yield ""
        yield f"### {title(capability)}"
        yield ""
        yield "| what for | class | without | who asks | kernels | proved by |"
        yield "|---|---|---|---|---|---|"
        for (plain, without, name), (where, present, proofs) in sorted(groups[capability].items()):
            shown = ", ".join(f"`{place.split(' in ')[0]}` {place.split(' in ')[1]}" for place in where[:6])
            shown += f" and {len(where) - 6} more" if len(where) > 6 else ""
            versions = "all" if present == set(kernels) else ", ".join(kernel for kernel in kernels if kernel in present)
            yield f"| {plain} | {WORDS[name]} | {without} | {shown} | {versions} | {', '.join(sorted(proofs))} |".replace("*.*", "\\*.\\*")


def unseen(kernels):
    """Places whose check a recorder may not see, with the kernels whose amd64 build has them."""
    by_place = table.index()
    have = defaultdict(set)
    for kernel in kernels:
        for site in table.sites(kernel):
            entry = table.entry_of(by_place, site)
            if entry and site["built"] == "yes":
                have[json.dumps(entry)].add(kernel)
    yield from ("| what a process does | capability | who decides | by | kernels |", "|---|---|---|---|---|")
    rows = []
    for _, entry in table.entries():
        if "unseen" in entry:
            present = have[json.dumps(entry)]
            versions = "all" if present == set(kernels) else ", ".join(kernel for kernel in kernels if kernel in present)
            why = "comparing sets: no recorder" if entry["helper"] == "cap_raised" else "asking in line: eBPF by the tracepoint alone (Linux 6.14), or next to it"
            rows.append(f"| {entry['unseen']} | {', '.join(map(title, capabilities(entry)))} | `{entry['function']}()` {entry['file']} | {why} | {versions} |")
    yield from dict.fromkeys(rows)


def text():
    by_place, kernels = table.index(), table.kernels()
    found = {kernel: [(site, table.entry_of(by_place, site)) for site in table.sites(kernel)] for kernel in kernels}
    found = {kernel: [(site, entry) for site, entry in pairs if entry] for kernel, pairs in found.items()}
    proofs = [entry["proof"] for _, entry in table.entries() if "proof" in entry]
    lines = [HEAD.format(kernels=", ".join(f"Linux {kernel}" for kernel in kernels)).rstrip(), ""]
    lines += by_class(kernels, found)
    lines += ["", f"Programs prove {len(proofs)} of {len(list(table.entries()))} entries on Linux 6.18: they pass with the capability, and fail or get less without it.",
              f"{len(set(proofs) - {'prove'})} of the programs are those of `tests/corpus`; the others are cases of `profile/atlas/prove.c` (*prove*).",
              "The other entries were read, and not run."]
    for kernel in kernels:
        lines += ["", f"## Linux {kernel} by capability", "", "Places in Debian's amd64 kernel, without helpers.", "", *by_capability(kernel, found)]
    lines += ["", "## What a recorder may not see", "",
              "At these places the kernel compares sets and asks nobody, or the compiler has put the question in line.",
              "A profile has a blind spot for what the way that eBPF attached by cannot see in its kernel; [limits.md](limits.md) says what capprof does about the others.", "",
              *unseen(kernels)]
    lines += ["", "## What each capability is asked for", "", "A row is one purpose.", *places(kernels, found)]
    return "\n".join(lines) + "\n"


def make(check):
    """Writes the page, or says if it is out of date."""
    wanted = text()
    if check:
        if OUTPUT.read_text() == wanted:
            return 0
        print(f"{OUTPUT.name} is out of date: run profile/atlas/atlas documents")
        return 1
    OUTPUT.write_text(wanted)
    return 0
