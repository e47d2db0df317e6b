# SPDX-License-Identifier: Apache-2.0
"""An eBPF program that does nothing, attached in the place of capprof's, so that the rest of a check's cost is the kernel's own (bpf(2))."""
import ctypes
import os
import platform
import struct

TRACEPOINT = "btf_trace_cap_capable"
NUMBERS = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, RAW_TRACEPOINT_OPEN = 5, 17
TYPE_TRACING, TRACE_RAW_TP = 26, 23
TYPEDEF = 8
# The size of the data after a type's header in BTF, by kind (include/uapi/linux/btf.h): bytes in all, and bytes for each member.
TRAILING = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0), 19: (0, 12)}


class Attached:
    """The program while it is attached, in a `with` statement. Raises OSError if it cannot be attached."""

    def __enter__(self):
        self.descriptors = []
        # mov64 r0, 0; exit
        instructions = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
        terms = ctypes.create_string_buffer(b"GPL")
        attributes = bytearray(128)
        struct.pack_into("<IIQQ", attributes, 0, TYPE_TRACING, 2, ctypes.addressof(instructions), ctypes.addressof(terms))
        struct.pack_into("<I", attributes, 68, TRACE_RAW_TP)
        struct.pack_into("<I", attributes, 108, type_of(TRACEPOINT))
        self.descriptors.append(bpf(PROG_LOAD, attributes))
        opened = bytearray(16)
        struct.pack_into("<QI", opened, 0, 0, self.descriptors[0])
        try:
            self.descriptors.append(bpf(RAW_TRACEPOINT_OPEN, opened))
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for descriptor in self.descriptors:
            os.close(descriptor)


def bpf(command, attributes):
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(bytes(attributes), len(attributes))
    descriptor = library.syscall(NUMBERS[platform.machine()], command, buffer, len(attributes))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def type_of(name):
    """The number of a typedef in the kernel's BTF."""
    with open("/sys/kernel/btf/vmlinux", "rb") as file:
        data = file.read()
    _, _, _, header, types, types_length, strings, _ = struct.unpack_from("<HBBIIIII", data)
    wanted, start = name.encode() + b"\0", header + strings
    at, end, number = header + types, header + types + types_length, 1
    while at < end:
        text, info, _ = struct.unpack_from("<III", data, at)
        kind = info >> 24 & 0x1F
        if kind == TYPEDEF and data.startswith(wanted, start + text):
            return number
        whole, each = TRAILING.get(kind, (0, 0))
        at += 12 + whole + each * (info & 0xFFFF)
        number += 1
    raise OSError(f"this kernel has no {name}")
