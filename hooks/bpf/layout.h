/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Keys and values of the maps. hooks/src/ebpf/layout.rs repeats them. A change needs a new version in the pin path.
 */
#pragma once

#include "mounters.h"

#define FRAMES 28
#define WINDOW 64 /* words of kernel stack that are compared, from the hook upwards; a power of two */
#define DEPTH 8 /* return addresses that are compared to distinguish call paths */
#define LEARNED 12 /* innermost frames that are searched for in the window, and that distinguish two paths */
#define PATHS 64 /* call paths of one kind of check */
#define VERIFY 256 /* hits of a path between two comparisons by stack trace; a power of two */
#define VERIFY_KNOWN 4096 /* the same for a path that has this many hits; a power of two */
#define PATH 1024
#define PATH_NAME 256
#define PATH_DEPTH 32
#define EXTENTS 5 /* UID_GID_MAP_MAX_BASE_EXTENTS */
#define OBJECT_TEXT 136 /* a text of this length without its NUL, or longer, is cut */
#define OBJECT_DETAIL 16
#define REFUSALS 16 /* kinds of refused checks in one system call */

enum capability { CAP_DAC_OVERRIDE = 1, CAP_DAC_READ_SEARCH = 2, CAP_FSETID = 4, CAP_SETGID = 6, CAP_SETUID = 7, CAP_SETPCAP = 8, CAP_NET_ADMIN = 12, CAP_SYS_ADMIN = 21, CAP_SYS_RESOURCE = 24, CAP_SETFCAP = 31, CAP_CHECKPOINT_RESTORE = 40 };

#define CAP_OPT_NOAUDIT 2 /* include/linux/security.h */

enum task_flag { TASK_PENDING = 1, TASK_JOINED = 2, TASK_FOUND = 4 /* ran before the recording began: see attach.h */, TASK_RESULTS = 8 /* its container has results_wanted */ };

struct task {
	u64 slot;
	u64 program; /* key in programs; 0 before the first execution */
	u32 flags;
	u32 unused;
	u64 ambient; /* ambient capabilities that `exec` gave it, and those counted already */
	u64 user_namespace; /* that of its container */
};

#define MEMBERS 512 /* a power of two */

/*
 * The number of rows in tasks, and their number by the last bits of the thread group. A row is counted before it is added and until after it
 * is removed: a count of 0 proves that there is no row. User space counts the rows that it adds.
 */
struct members {
	u32 all;
	u32 unused;
	u32 of[MEMBERS];
};

/* The maps of which a recording may use only a share, so that others have room: see docs/limits.md. */
enum table { TABLE_CHECKS, TABLE_PROGRAMS, TABLE_CAPSETS, TABLE_ATTRIBUTES, TABLE_DEVICES, TABLE_SYSCTLS, TABLE_PORTS, TABLE_TASKS, TABLES };

/* The rows that one recording may have, and the number of such shares in a map. */
enum limit {
	LIMIT_CHECKS = 8192,
	LIMIT_PROGRAMS = 4096,
	LIMIT_CAPSETS = 1024,
	LIMIT_ATTRIBUTES = 256,
	LIMIT_DEVICES = 1024,
	LIMIT_SYSCTLS = 1024,
	LIMIT_PORTS = 1024,
	LIMIT_TASKS = 4096, /* thread groups at the same time */
};
#define SHARES 4

enum loss { LOSS_CHECKS, LOSS_STACKS, LOSS_TASKS, LOSS_PROGRAMS, LOSS_ARGUMENTS, LOSS_CAPSETS, LOSS_JOIN, LOSS_INFLIGHT, LOSS_PATHS, LOSS_RESULTS, LOSS_ATTRIBUTES, LOSS_MOUNTERS, LOSS_REPEATED, LOSSES };

/* The result of a system call in which a check was refused. */
enum result { RESULT_SUCCESS, RESULT_EPERM, RESULT_EACCES, RESULT_OTHER, RESULTS };

struct container {
	u64 user_namespace; /* its address; 0 until the container's program runs */
	u64 executed_ns; /* boot time of that execution */
	u64 root_dentry, root_mount; /* the root directory of the container's program */
	u64 registers; /* offset of the registers from the bottom of a task's stack; 0: not known */
	u64 unlisted; /* uses of devices, /proc/sys, ports and ping sockets that did not fit */
	u64 losses[LOSSES];
	u32 mount_namespace; /* its inode number; 0 until the container's program runs */
	u32 init; /* thread group of the first process */
	u32 ended; /* the first process has ended */
	u8 reached[TABLES]; /* 1 if the recording had as many rows in that table as it may have when another one came */
	u32 rows[TABLES];
	u32 unjoinable[2]; /* mount namespaces of the runtime and of the host */
	u32 results_wanted; /* record the results of system calls in which a check is refused */
	u32 exited; /* exit_status is valid */
	s32 exit_status; /* of the first process, as wait(2) returns it */
	u64 ambient; /* the ambient set with which the container's program started */
	struct mounters mounters;
	char recording[64];
};

enum check_flag {
	CHECK_OVERRIDDEN = 1 << 0,
	CHECK_OTHER = 1 << 1, /* credentials of an opened file or of another task */
	CHECK_BY_OWNER = 1 << 2,
	CHECK_PRE_EXEC = 1 << 3,
	CHECK_JOINED = 1 << 4,
	CHECK_SILENT = 1 << 5,
	CHECK_AUDITED = 1 << 6,
	CHECK_WITHOUT_EFFECT = 1 << 7,
	CHECK_COMPAT = 1 << 8,
	CHECK_OPEN_WRITE = 1 << 9,
	CHECK_ROOT = 1 << 10,
	CHECK_MOUNTER = 1 << 11, /* overridden by credentials of the container, which mounted the file system itself */
	CHECK_NAMESPACE = 16, /* shift of enum namespace */
};

enum namespace { NAMESPACE_UNKNOWN, NAMESPACE_OWN, NAMESPACE_INITIAL, NAMESPACE_NESTED, NAMESPACE_FOREIGN, NAMESPACE_NESTED_OTHER };

/* One kind of check and one of its call paths. Paths are numbered in the order in which they occur. */
struct check_kind {
	u64 program;
	s32 syscall;
	u32 flags;
	u32 capability;
	u32 denied;
	u32 path;
	u32 argument; /* see arguments.h */
};

/* Hashing the whole kind would take longer than the rest of the program. The row holds the kind itself. */
struct check_key {
	u64 slot;
	u64 digest; /* digest of the kind */
};

/* What the system call was about in which a check was made for the first time: see object.h. */
struct object {
	u64 arguments[4];
	u32 read; /* 1: the arguments are those of the system call */
	s32 length; /* of the text with its NUL; 0: there is none; or a negative error number */
	char detail[OBJECT_DETAIL]; /* the type of a file system, or family and port of a socket address */
	char text[OBJECT_TEXT]; /* a path, or another name, as the program passed it */
};

struct check {
	struct check_kind kind;
	u64 count;
	u64 first_ns, last_ns;
	u32 tgid;
	s32 frames; /* or a negative error number */
	char comm[16];
	u64 digest; /* digest of the innermost frames */
	u32 from, depth; /* first and number of the frames that were found in the window */
	u8 offsets[DEPTH];
	u64 results[RESULTS]; /* of the system calls, if the check was refused and the recording wants results */
	u64 stack[FRAMES];
	struct object object;
};

/* Refused checks of a system call that has not returned. */
struct refusals {
	u32 number;
	u32 unused;
	u64 call; /* digest of the system call: see digest_of_call() */
	struct {
		struct check_key key;
		u64 count;
	} of[REFUSALS];
};

enum program_flag {
	PROGRAM_OTHER_MOUNT = 1,
	PROGRAM_OUTSIDE = 2,
	PROGRAM_TRUNCATED = 4,
	PROGRAM_NOT_ROOT = 8, /* its capabilities come from the file */
	PROGRAM_EFFECTIVE = 16, /* the file's capabilities became effective */
	PROGRAM_NO_FILE_CAPABILITIES = 32, /* the mount ignores file capabilities */
	PROGRAM_NESTED = 64, /* runs in a user namespace that the container made: its file capabilities count only there */
	PROGRAM_MEMORY_POLICY = 128, /* has a policy of set_mempolicy(2), seen when it ended or executed another program */
};

struct program_key {
	u64 slot;
	u64 program;
};

struct program {
	u64 count;
	u64 gained;
	u32 uid;
	u32 flags;
	u32 length;
	u32 changed_ns; /* nanoseconds part of `changed` */
	s64 changed; /* change time of the file's inode at the execution, in seconds */
	char comm[16];
	char path[PATH + PATH_NAME]; /* names from the file upwards, each terminated by NUL */
};

struct capset_key {
	u64 slot;
	u64 program;
	u64 held, effective, permitted, inheritable;
	u64 ambient; /* raised by prctl(2); effective, permitted and inheritable are then 0 */
};

enum port_kind { PORT_BOUND, PORT_PING /* see ping_socket() */ };

struct port_key {
	u64 slot;
	u64 program;
	u32 number; /* of the port; for a ping socket, of the group that made it */
	u32 kind;
};

#define ATTRIBUTE_PATH 128

/* A setxattr(2) of security.capability. */
struct attribute_key {
	u64 slot;
	u64 permitted;
	u64 inheritable;
	u32 effective;
	u32 unused;
	char path[ATTRIBUTE_PATH]; /* as the program passed it; for a descriptor the name without directories */
};

struct device_key {
	u64 slot;
	u64 program;
	u32 type; /* BPF_DEVCG_DEV_ */
	u32 major;
	u32 minor;
	u32 access; /* BPF_DEVCG_ACC_ */
	u32 asked; /* access(2) asked; nothing was opened */
	u32 unused;
};

#define SYSCTL_NAME 128
#define SYSCTL_VALUE 64

struct sysctl_key {
	u64 slot;
	u64 program;
	char name[SYSCTL_NAME]; /* for example net/ipv4/ip_forward */
};

struct sysctl {
	u64 count;
	s32 length; /* or a negative error number */
	u32 unused;
	char value[SYSCTL_VALUE]; /* the value written last */
};

/*
 * The entries of the scratch maps, of which each processor has its own. A program can be preempted while another one runs on the same
 * processor, so each has an entry of its own. The kernel never runs a program a second time on a processor while a preempted task is in it,
 * and does not preempt the standby programs (standby.h).
 */
enum place { PLACE_CHECK, PLACE_CAPSET, PLACE_PRCTL, PLACE_EXEC, PLACE_STANDBY, PLACES };

/* The events for which there are standby programs. */
enum run { RUN_CHECK, RUN_EXEC, RUN_EXIT, RUNS };

/* The task that ran an event's program last on this processor, and its number of context switches at that time. */
struct last_run {
	u64 thread;
	u64 switches;
};

/* The current system call of a task. */
struct call {
	s32 number; /* -1: not in a system call */
	bool compat;
	u64 arguments[5];
};

/* In a map and not on the stack: on the stack the verifier would examine each combination of flags separately. */
struct check_scratch {
	struct check check; /* its kind is that of the current check */
	struct call call;
	u64 cred, target; /* addresses of the credentials and the user namespace that the check is about */
	u32 credentials; /* whose credentials: 0 for the task's own, CHECK_OVERRIDDEN or CHECK_OTHER */
	struct check_key key;
	u64 digest; /* digest of the kind without the number of the path */
	u64 stack; /* address of the first word; 0: not known */
	u64 jiffies, now; /* see recent_time() */
	u64 words[WINDOW];
	u32 room; /* number of the first unused path, plus one; 0: all are used */
	u32 place; /* the entry of the scratch maps that this is */
	u64 above; /* bits of the words above the last match */
};

/* A program whose path is being written, and the next component. */
struct program_scratch {
	struct program program;
	u64 dentry, mount; /* addresses; mounts are of type struct vfsmount */
	u64 root_dentry, root_mount;
};

struct symbol {
	u64 address;
};

/* How this program set was loaded, for other processes that find it pinned. */
struct state {
	u64 build; /* digest of the object file */
	u32 length;
	u32 unused;
	char text[4080]; /* JSON: method and refusals */
};

struct inflight {
	u64 cred, ns, stack;
	s32 capability;
	u32 opts;
};
