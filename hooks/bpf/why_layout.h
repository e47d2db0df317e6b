/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The events and maps of `why`. hooks/src/why/layout.rs repeats the layouts: change both together.
 */
#pragma once

#define WHY_CHECKS 4 /* the number of refused checks that are kept of one system call: the last ones */
#define WHY_FRAMES 16
#define WHY_GROUPS 32
#define WHY_PATH 256
#define WHY_BASE 768
#define WHY_DATA 128
#define WHY_INSTRUCTIONS 4096 /* BPF_MAXINSNS */
#define WHY_RECORD_FRAMES 32
#define WHY_TEXT 1536 /* of an audit record */
#define WHY_FILTERS 16 /* the number of seccomp filters that are read of one task */

enum why_kind { WHY_REFUSED, WHY_EXEC, WHY_EXIT, WHY_NAMESPACE, WHY_FILTER, WHY_RECORD };

enum why_flag {
	WHY_NO_NEW_PRIVILEGES = 1 << 0,
	WHY_LANDLOCKED = 1 << 1,
	WHY_COMPAT = 1 << 2,
	WHY_BASE_TRUNCATED = 1 << 3,
	WHY_BASE_OUTSIDE = 1 << 4,
	WHY_SETUID_IGNORED = 1 << 5, /* the program is set-user-ID or set-group-ID, and its mount or no_new_privs ignores that */
	WHY_NOSUID = 1 << 6, /* the mount ignores it */
	WHY_DEVICE = 1 << 7, /* the call used a device */
	WHY_DEVICE_REFUSED = 1 << 8, /* a program of the control group refused the device */
	WHY_ANSWERED = 1 << 9, /* the call succeeded, but netlink's answer has the error */
	WHY_BASE_KNOWN = 1 << 10,
	WHY_KILLED = 1 << 11, /* SIGSYS */
	WHY_PATH_TRUNCATED = 1 << 12, /* a path may be longer than what is kept of it */
};

/* What had no room. */
enum why_lost { WHY_LOST_EVENTS, WHY_LOST_PROCESSES, WHY_LOST };

/* Flags of a watched process, which its children inherit. */
enum watch_flag {
	WATCH_SPAWNER = 1 << 0, /* capprof itself: only its children are watched */
	WATCH_LANDLOCKED = 1 << 1,
	WATCH_SETUID_IGNORED = 1 << 2,
	WATCH_NOSUID = 1 << 3,
};

/* What user space sets for each system call: the arguments, counted from 1, that hold paths, descriptors and data. */
enum call_shift {
	CALL_PATH = 0,
	CALL_PATH2 = 3,
	CALL_FD = 6,
	CALL_FD2 = 9,
	CALL_DATA = 12,
	CALL_ERRORS = 15, /* errors that mean a refusal for this call only: enum call_error */
};

enum call_error {
	CALL_EAGAIN = 1 << 0,
	CALL_ENOMEM = 1 << 1,
	CALL_ENOSPC = 1 << 2,
	CALL_EFBIG = 1 << 3,
	CALL_EXDEV = 1 << 4,
};

#define CALLS 512

struct why_check {
	u32 capability;
	u32 flags; /* enum why_check_flag */
	s32 frames;
	u32 unused;
	u64 stack[WHY_FRAMES];
};

enum why_check_flag {
	WHY_CHECK_INITIAL = 1, /* the check was about the initial user namespace */
	WHY_CHECK_OWN = 2, /* the check was about the task's own user namespace */
	WHY_CHECK_OTHER_CREDENTIALS = 4,
};

/* The refused checks of a thread's current system call. */
struct asked {
	u64 call; /* identifies the system call */
	u32 number; /* the number of refused checks */
	u32 device; /* enum why_flag */
	u32 device_access;
	u32 device_major, device_minor;
	u32 records; /* struct why_record */
	u64 recorded_ns; /* the first of them */
	u64 hook; /* the function of AppArmor that refused; 0: none */
	s64 hook_answer; /* its error */
	struct why_check checks[WHY_CHECKS];
};

struct why_extent {
	u32 first, lower_first, count;
};

struct why_event {
	u32 kind;
	u32 flags;
	u32 tgid, tid;
	s32 call;
	u32 seccomp_mode;
	s64 result;
	u64 time_ns;
	u64 arguments[6];
	u64 instruction;
	u64 filter;
	u64 effective, permitted, inheritable, bounding, ambient;
	u32 uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	u32 groups;
	u32 group[WHY_GROUPS];
	u32 user_namespace, user_level;
	u32 mount_namespace;
	u32 device_access, device_major, device_minor;
	u32 extents_uid, extents_gid;
	struct why_extent uid_map[EXTENTS], gid_map[EXTENTS];
	u32 checks;
	u32 base_length;
	u32 executable_mode;
	u32 network_namespace;
	u64 digest; /* see struct seen_key */
	u64 recorded_ns; /* the first of the records of this call */
	u64 hook; /* see struct asked */
	s64 hook_answer;
	u32 records; /* how many records of this call were told before */
	u32 unused;
	struct rlimit limits[WHY_LIMITS];
	char comm[16];
	struct why_check check[WHY_CHECKS];
	char path[WHY_PATH];
	char path2[WHY_PATH];
	char data[WHY_DATA];
	char base[WHY_BASE + PATH_NAME]; /* names from the directory or file upwards, each terminated by NUL */
};

/* Identifies a refusal. One that user space knows already is only counted. */
struct seen_key {
	u32 tgid;
	s32 call;
	u64 digest;
};

struct why_filter {
	u32 kind; /* WHY_FILTER */
	u32 length; /* the number of instructions; 0 if this kernel does not keep them */
	u64 filter, previous;
	u64 instructions[WHY_INSTRUCTIONS];
};

/* An audit record of a security module, told before the refusal of the system call that it belongs to. */
struct why_record {
	u32 kind; /* WHY_RECORD */
	u32 tgid, tid;
	u32 length; /* of the text; more than WHY_TEXT: the rest is missing */
	u64 recorded_ns; /* the first of the same call */
	s32 frames;
	u32 unused;
	u64 stack[WHY_RECORD_FRAMES];
	char text[WHY_TEXT];
};
