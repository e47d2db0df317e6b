/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The maps, and the settings of the loader.
 */
#pragma once

/* The loader sets these. */
const volatile struct {
	u64 valid_capabilities; /* bits up to /proc/sys/kernel/cap_last_cap */
	u64 timespec64; /* id of that type in the kernel's full type information; the reduced one, by which libbpf relocates, has other ids */
	u64 preempts; /* 1 if this kernel preempts programs of tracepoints: see standby.h */
} settings SEC(".rodata.settings");

#define MAP(name, kind, entries, key_type, value_type)  \
	struct {                                        \
		__uint(type, BPF_MAP_TYPE_##kind);      \
		__uint(max_entries, entries);           \
		__uint(map_flags, BPF_F_NO_PREALLOC);   \
		__type(key, key_type);                  \
		__type(value, value_type);              \
	} name SEC(".maps")

MAP(containers, HASH, 4096, u64, struct container);
MAP(tasks, HASH, SHARES * LIMIT_TASKS, u32, struct task);
MAP(joins, HASH, 4096, u32, u64);
MAP(groups, HASH, 1024, u64, u64);
MAP(checks, HASH, SHARES * LIMIT_CHECKS, struct check_key, struct check);
MAP(programs, HASH, SHARES * LIMIT_PROGRAMS, struct program_key, struct program);
MAP(capsets, HASH, SHARES * LIMIT_CAPSETS, struct capset_key, u64);
MAP(calls, HASH, 4096, u64, struct inflight);
MAP(devices, HASH, SHARES * LIMIT_DEVICES, struct device_key, u64);
MAP(sysctls, HASH, SHARES * LIMIT_SYSCTLS, struct sysctl_key, struct sysctl);
MAP(ports, HASH, SHARES * LIMIT_PORTS, struct port_key, u64);
MAP(attributes, HASH, SHARES * LIMIT_ATTRIBUTES, struct attribute_key, u64);

#define ARRAY(name, kind, entries, value_type)     \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_##kind); \
		__uint(max_entries, entries);      \
		__type(key, u32);                  \
		__type(value, value_type);         \
	} name SEC(".maps")

ARRAY(state, ARRAY, 1, struct state);
ARRAY(symbols, ARRAY, 256, struct symbol);
ARRAY(program_scratch, PERCPU_ARRAY, PLACES, struct program_scratch);
ARRAY(attribute_scratch, PERCPU_ARRAY, PLACES, struct attribute_key);
ARRAY(check_scratches, PERCPU_ARRAY, PLACES, struct check_scratch);
ARRAY(last_runs, PERCPU_ARRAY, RUNS, struct last_run);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct members);
} members SEC(".maps");

/* Belongs to the task: execve(2) may change a thread's number. The kernel frees it with the task. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct refusals);
} refusals SEC(".maps");
