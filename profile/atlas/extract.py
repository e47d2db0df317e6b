# SPDX-License-Identifier: Apache-2.0
"""Finds every place in a kernel's source that asks for a capability, with a C parser.

The name of a place survives an edit elsewhere in the file: (file, function, capability, helper, n), where n counts the calls that agree
in the other four, from 1. Line numbers are only for the reader of this run's output and are not stored.
"""

import hashlib
import multiprocessing
import re
from collections import Counter
from pathlib import Path

import tree_sitter
import tree_sitter_c

# Directories of programs that do not run in the kernel.
OUTSIDE = {"Documentation", "samples", "scripts", "tools", "usr"}

# The kernel's functions that ask, with the capability that they imply if no argument names it.
HELPERS = {
    "capable": None,
    "ns_capable": None,
    "ns_capable_noaudit": None,
    "capable_noaudit": None,
    "ns_capable_setid": None,
    "has_capability": None,
    "has_ns_capability": None,
    "has_capability_noaudit": None,
    "has_ns_capability_noaudit": None,
    "file_ns_capable": None,
    "capable_wrt_inode_uidgid": None,
    "netlink_capable": None,
    "netlink_net_capable": None,
    "netlink_ns_capable": None,
    "__netlink_ns_capable": None,
    "sk_capable": None,
    "sk_ns_capable": None,
    "sk_net_capable": None,
    "sockopt_capable": None,
    "sockopt_ns_capable": None,
    "perfmon_capable": "CAP_PERFMON",
    "bpf_capable": "CAP_BPF",
    "bpf_token_capable": None,
    "bpf_net_capable": "CAP_NET_ADMIN",
    "bpf_ns_capable": None,
    "checkpoint_restore_ns_capable": "CAP_CHECKPOINT_RESTORE",
    "checkpoint_restore_ns_capable_noaudit": "CAP_CHECKPOINT_RESTORE",
    "ptracer_capable": "CAP_SYS_PTRACE",
    "has_cap_mac_admin": "CAP_MAC_ADMIN",
    "rdma_dev_has_raw_cap": "CAP_NET_RAW",
    "rdma_uattrs_has_raw_cap": "CAP_NET_RAW",
    "smack_privileged": None,
    "smack_privileged_cred": None,
    "aa_capable": None,
    "security_capable": None,
    "cap_capable": None,
    # Callers that are a family of places.
    "inode_owner_or_capable": "CAP_FOWNER",
    "generic_permission": "CAP_DAC_OVERRIDE",
    # Sets that are compared, without a call of a function that asks.
    "cap_raised": None,
}

NAME = re.compile(r"\bCAP_[A-Z_]+\b")
MENTION = re.compile(r"\b(" + "|".join(map(re.escape, HELPERS)) + r")\s*\(")
SYSTEM_CALL = re.compile(r"\b((?:COMPAT_)?SYSCALL(?:32)?_DEFINE\d?)\((\w+)")
MARKER = re.compile(r"\b(__user|__init|__exit|__must_check|noinline|__always_inline|__cold|__bpf_kfunc)\b|\b__printf\(\d+, *\d+\)")
# The text before a helper's name on a line that declares or defines it.
DECLARATION = re.compile(r"^\s*(\w+[\s*]+)*(bool|int)\s+(\w+\s+)*\(?\*?$|^(static|extern|inline)\b[^;{}()]*$|\bEXPORT\w*\($|[.>]$")
HEAD = re.compile(r"^(?!\s|#|\}|(?:if|for|while|switch|else|return)\b)[^\n;={}]*?\b(\w+)\s*\(", re.M)
COMMENT_OR_STRING = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def parser():
    """A parser for the kernel's C."""
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))


def blank(match):
    """Blanks out a text, and keeps its characters and lines."""
    return re.sub(r"[^\n]", " ", match.group())


def prepare(text):
    """Gives macros that define system calls the form of functions, and removes markers that are no C. Lines stay."""
    text = SYSTEM_CALL.sub(lambda match: f"long {'compat_' if match.group(1).startswith('COMPAT') else ''}sys_{match.group(2)}(int x", text)
    # A driver puts its own name before those of its handlers; the core defines its name in a header.
    module = re.search(r"^#define UVERBS_MODULE_NAME (\w+)", text, re.M)
    text = re.sub(r"\bUVERBS_HANDLER\((\w+)\)", rf"{module.group(1) if module else 'ib_uverbs'}_handler_\1", text)
    return MARKER.sub(blank, text)


def capability(helper, text):
    """The capabilities that a call asks for, in one string; the argument itself if it is a variable."""
    names = [name for name in dict.fromkeys(NAME.findall(text)) if not name.startswith("CAP_OPT_")]
    if names:
        return "|".join(names)
    if HELPERS[helper]:
        return HELPERS[helper]
    return "variable"


def declared_name(node):
    """The name that a function definition declares."""
    while node is not None:
        if node.type in ("identifier", "field_identifier", "type_identifier"):
            return node.text.decode()
        inner = node.child_by_field_name("declarator")
        if inner is None:
            inner = next((child for child in node.children if child.type.endswith("declarator") or child.type == "identifier"), None)
        node = inner
    return None


def enclosing(node):
    """The function around a node, or the macro or table in its place."""
    found, conditions = None, []
    while node is not None:
        if node.type == "function_definition" and node.start_point[1] == 0 and found is None:
            # Indented, it is the body of a macro like for_each_process().
            found = declared_name(node.child_by_field_name("declarator")) or "?"
        elif node.type in ("preproc_function_def", "preproc_def") and found is None:
            found = node.child_by_field_name("name").text.decode()
        elif node.type in ("preproc_ifdef", "preproc_if", "preproc_elif", "preproc_else"):
            conditions.append(node)
        node = node.parent
    return found, conditions


def condition(node, inner):
    """The condition of a conditional directive, for the branch that contains the node."""
    name = node.child_by_field_name("name") or node.child_by_field_name("condition")
    if name is None:
        return None
    return ("!" if node.children[0].type == "#ifndef" else "") + name.text.decode()


def origin(call, text):
    """The values to which the variables in a call were last set in its function, by name; parameters are left out."""
    node = call
    while node.parent is not None and not (node.type == "function_definition" and node.start_point[1] == 0):
        node = node.parent
    before = node.text[: call.start_byte - node.start_byte].decode(errors="replace")
    found = {}
    for name in re.findall(r"(?<![\w>.])[a-z_]\w*\b(?!\s*\()", text):
        values = re.findall(rf"(?<![\w>.]){name}\s*=(?!=)\s*([^;]+);", before)
        if values:
            found[name] = " ".join(values[-1].split())
    return found


STATEMENT = {"expression_statement", "return_statement", "declaration", "while_statement", "for_statement", "switch_statement", "do_statement"}


def digest(call):
    """A digest of the use of the answer: the statement around the call, and its case label.

    If it is the same in two versions, the check and its purpose are the same; otherwise the place must be read again.
    """
    statement, label, node = None, "", call
    while node.parent is not None:
        node = node.parent
        if statement is None and node.type == "if_statement":
            condition = node.child_by_field_name("condition")
            if condition is not None and condition.start_byte <= call.start_byte < condition.end_byte:
                statement = node
        if statement is None and node.type in STATEMENT:
            statement = node
        if node.type == "case_statement":
            value = node.child_by_field_name("value")
            label = value.text.decode() if value is not None else "default"
            break
        if node.type == "function_definition":
            break
    text = " ".join((statement or call).text.decode(errors="replace").split())[:200]
    return hashlib.sha256(f"{label}:{text}".encode()).hexdigest()[:8]


def calls(node):
    """All calls below a node, in the order of the text."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.type == "call_expression":
            yield node
        stack.extend(reversed(node.children))


def directives(root):
    """The definitions of macros."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type in ("preproc_function_def", "preproc_def"):
            yield node
        stack.extend(reversed(node.children))


def in_macros(root, parse):
    """The calls in the bodies of macros, which the parser leaves as text."""
    for node in directives(root):
        value = node.child_by_field_name("value")
        if value is None or not MENTION.search(value.text.decode(errors="replace")):
            continue
        body = value.text.decode(errors="replace").replace("\\\n", " \n")
        name = node.child_by_field_name("name").text.decode()
        tree = parse.parse(f"void f(void) {{ {body} ; }}".encode())
        for call in calls(tree.root_node):
            yield name, node, call


def sites_of(text, parse):
    """The places of one file: dictionaries with function, capability, helper, n, line, arguments, the origin of these, and the conditions around."""
    source = prepare(COMMENT_OR_STRING.sub(blank, text))
    tree = parse.parse(source.encode())
    found = []

    def add(function, call, line, conditions):
        callee = call.child_by_field_name("function")
        helper = callee.text.decode() if callee is not None else ""
        if helper not in HELPERS or function == helper:
            return
        arguments = " ".join(call.child_by_field_name("arguments").text.decode().split())
        found.append({
            "function": function,
            "capability": capability(helper, arguments),
            "helper": helper,
            "line": line,
            "arguments": arguments[1:-1],
            "origin": origin(call, arguments[1:-1]),
            "digest": digest(call),
            "conditions": conditions,
        })

    for call in calls(tree.root_node):
        function, around = enclosing(call)
        conditions = []
        for node in around:
            asked = condition(node, call)
            # The parser puts an #else below its #if, and it means the opposite condition.
            if asked:
                other = any(node.parent is not None and n.type == "preproc_else" and n.parent == node for n in around)
                conditions.append(("!" if other else "") + asked)
        add(function or "?", call, call.start_point[0] + 1, conditions)
    for name, node, call in in_macros(tree.root_node, parse):
        add(name, call, node.start_point[0] + 1, [])
    # The parser gives up on a statement that conditional directives split. A call in its text is still a place.
    seen = Counter(site["line"] for site in found)
    macros = [(node.start_byte, node.end_byte) for node in directives(tree.root_node)]
    for match in MENTION.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        start = source.rfind("\n", 0, match.start()) + 1
        if seen[line]:
            seen[line] -= 1
        elif not DECLARATION.search(source[start:match.start()]) and not any(a <= len(source[: match.start()].encode()) < b for a, b in macros):
            end = source.find(";", match.end())
            text = " ".join(source[match.end():end].split())
            found.append({
                "function": None, "capability": capability(match.group(1), text.split(")")[0]), "helper": match.group(1),
                "line": line, "arguments": text.split(")")[0], "origin": {}, "conditions": [],
                "digest": hashlib.sha256(text[:200].encode()).hexdigest()[:8],
            })
    for site in found:
        if site["function"] in (None, "?"):
            heads = [m for m in HEAD.finditer(source) if source.count("\n", 0, m.start()) < site["line"]]
            site["function"] = heads[-1].group(1) if heads else "?"
    # A helper whose definition begins with a line of its type calls nobody there.
    found = [site for site in found if site["function"] != site["helper"]]
    found.sort(key=lambda site: site["line"])
    count = Counter()
    for site in found:
        key = (site["function"], site["capability"], site["helper"])
        count[key] += 1
        site["n"] = count[key]
    return found


def of_file(arguments):
    """The places of one file, as a worker returns them."""
    root, name = arguments
    text = (root / name).read_text(errors="replace")
    return [{"file": name, **site} for site in sites_of(text, parser())] if MENTION.search(text) else []


def tree(root):
    """All places of the kernel source below a directory, by file."""
    root = Path(root)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.[ch]"))
    names = [name for name in names if name.split("/")[0] not in OUTSIDE]
    with multiprocessing.Pool(2) as pool:
        return [site for sites in pool.imap(of_file, [(root, name) for name in names], 64) for site in sites]
