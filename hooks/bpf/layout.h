/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Keys and values of the maps. hooks/src/ebpf/layout.rs repeats them; a change of any of them needs a new version in the pin path.
 */
#pragma once

#include "mounters.h"

#define FRAMES 28
#define WINDOW 64 /* words of kernel stack above the hook; a power of two */
#define DEPTH 8 /* return addresses that are compared to tell call paths apart */
#define LEARNED 12 /* frames that are looked for, and that make two paths different */
#define PATHS 64 /* call paths of one kind of check */
#define VERIFY 256 /* every how many hits a path is compared by a stack trace; powers of two */
#define VERIFY_KNOWN 4096 /* the same, of a path that has been hit as often */
#define PATH 1024
#define PATH_NAME 256
#define PATH_DEPTH 32
#define EXTENTS 5 /* UID_GID_MAP_MAX_BASE_EXTENTS */
#define REFUSALS 16 /* kinds of refused checks in one system call */

enum capability { CAP_FSETID = 4, CAP_SETGID = 6, CAP_SETUID = 7, CAP_SETPCAP = 8, CAP_NET_ADMIN = 12, CAP_SYS_ADMIN = 21, CAP_SYS_RESOURCE = 24, CAP_SETFCAP = 31, CAP_CHECKPOINT_RESTORE = 40 };

#define CAP_OPT_NOAUDIT 2 /* include/linux/security.h */

enum task_flag { TASK_PENDING = 1, TASK_JOINED = 2, TASK_FOUND = 4 /* ran already: see found.h */, TASK_RESULTS = 8 /* results_wanted of its container */ };

struct task {
	u64 slot;
	u64 program; /* key in programs; 0: none executed yet */
	u32 flags;
	u32 unused;
	u64 ambient; /* capabilities that `exec` gave it or that were seen raised */
	u64 user_namespace; /* of its container */
};

#define MEMBERS 512 /* a power of two */

/*
 * How many rows of tasks there are, and how many whose thread groups have the same last bits. A row is counted before it is there, and until it
 * is gone: where nothing is counted there is none. User space counts its own.
 */
struct members {
	u32 all;
	u32 unused;
	u32 of[MEMBERS];
};

/* The maps of which a recording may take a share, so that it does not fill them for others: see docs/limits.md. */
enum table { TABLE_CHECKS, TABLE_PROGRAMS, TABLE_CAPSETS, TABLE_ATTRIBUTES, TABLE_DEVICES, TABLE_SYSCTLS, TABLE_PORTS, TABLE_TASKS, TABLES };

/* How many rows a recording may have there, and how many recordings may have as many. */
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

enum loss { LOSS_CHECKS, LOSS_STACKS, LOSS_TASKS, LOSS_PROGRAMS, LOSS_ARGUMENTS, LOSS_CAPSETS, LOSS_JOIN, LOSS_INFLIGHT, LOSS_PATHS, LOSS_RESULTS, LOSS_ATTRIBUTES, LOSSES };

/* What a system call came to in which a check was refused. */
enum result { RESULT_SUCCESS, RESULT_EPERM, RESULT_EACCES, RESULT_OTHER, RESULTS };

struct container {
	u64 user_namespace; /* address; 0 until the container's program runs */
	u64 executed_ns; /* boot time of that */
	u64 root_dentry, root_mount; /* the container's root directory, as its program has it */
	u64 registers; /* of a system call, from the bottom of a task's stack; 0: not known */
	u64 unlisted; /* uses of devices and of /proc/sys that did not fit */
	u64 losses[LOSSES];
	u32 mount_namespace; /* inode number; 0 until then */
	u32 init; /* thread group */
	u32 ended; /* the first process is gone */
	u32 unused;
	u32 rows[TABLES];
	u32 unjoinable[2]; /* mount namespaces that are not the container's own: the runtime's, the host's */
	u32 results_wanted; /* the results of system calls in which a check is refused are recorded */
	u32 exited; /* exit_status is known */
	s32 exit_status; /* of the first process, as wait(2) gives it */
	u32 unused_too;
	u64 ambient; /* capabilities that the container's program was started with in this set */
	struct mounters mounters;
	char recording[64];
};

enum check_flag {
	CHECK_OVERRIDDEN = 1 << 0,
	CHECK_OTHER = 1 << 1, /* credentials of somebody else: an opened file, another task */
	CHECK_BY_OWNER = 1 << 2,
	CHECK_PRE_EXEC = 1 << 3,
	CHECK_JOINED = 1 << 4,
	CHECK_SILENT = 1 << 5,
	CHECK_AUDITED = 1 << 6,
	CHECK_WITHOUT_EFFECT = 1 << 7,
	CHECK_COMPAT = 1 << 8,
	CHECK_OPEN_WRITE = 1 << 9,
	CHECK_ROOT = 1 << 10,
	CHECK_MOUNTER = 1 << 11, /* overridden, and these are credentials of the container's own: it mounted the file system */
	CHECK_NAMESPACE = 16, /* shift */
};

enum namespace { NAMESPACE_UNKNOWN, NAMESPACE_OWN, NAMESPACE_INITIAL, NAMESPACE_NESTED, NAMESPACE_FOREIGN, NAMESPACE_NESTED_OTHER };

/* One kind of check, and one call path of it: paths are numbered as they come. */
struct check_kind {
	u64 program;
	s32 syscall;
	u32 flags;
	u32 capability;
	u32 denied;
	u32 path;
	u32 argument; /* see arguments.h */
};

/* Hashing a whole kind would take longer than all else. A row tells of which kind it is. */
struct check_key {
	u64 slot;
	u64 digest; /* of the kind */
};

struct check {
	struct check_kind kind;
	u64 count;
	u64 first_ns, last_ns;
	u32 tgid;
	s32 frames; /* or a negative error number */
	char comm[16];
	u64 digest; /* of the innermost frames */
	u32 from, depth; /* which frames were found in the window, and where */
	u8 offsets[DEPTH];
	u64 results[RESULTS]; /* of refused checks, where they are wanted */
	u64 stack[FRAMES];
};

/* Checks refused in a system call that has not returned. */
struct refusals {
	u32 number;
	u32 unused;
	struct {
		struct check_key key;
		u64 count;
	} of[REFUSALS];
};

enum program_flag {
	PROGRAM_OTHER_MOUNT = 1,
	PROGRAM_OUTSIDE = 2,
	PROGRAM_TRUNCATED = 4,
	PROGRAM_NOT_ROOT = 8, /* what it gained is what the file gave it */
	PROGRAM_EFFECTIVE = 16, /* and the file made that effective */
	PROGRAM_NO_FILE_CAPABILITIES = 32, /* the mount ignores them */
	PROGRAM_NESTED = 64, /* lives in a user namespace that the container made, where they are that namespace's affair */
	PROGRAM_MEMORY_POLICY = 128, /* set by set_mempolicy(2), seen when it ended or executed another */
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
	u32 changed_ns; /* nanoseconds of that */
	s64 changed; /* when the file's inode last changed, as it was executed */
	char comm[16];
	char path[PATH + PATH_NAME]; /* names from the file upwards, each ended by NUL */
};

struct capset_key {
	u64 slot;
	u64 program;
	u64 held, effective, permitted, inheritable;
	u64 ambient; /* raised by prctl(2); the others are then zero */
};

enum port_kind { PORT_BOUND, PORT_PING /* see ping_socket() */ };

struct port_key {
	u64 slot;
	u64 program;
	u32 number; /* of the port; for a ping socket, of the group that made it */
	u32 kind;
};

#define ATTRIBUTE_PATH 128

/* setxattr(2) of security.capability */
struct attribute_key {
	u64 slot;
	u64 permitted;
	u64 inheritable;
	u32 effective;
	u32 unused;
	char path[ATTRIBUTE_PATH]; /* as the program named it; the name alone for a descriptor */
};

struct device_key {
	u64 slot;
	u64 program;
	u32 type; /* BPF_DEVCG_DEV_ */
	u32 major;
	u32 minor;
	u32 access; /* BPF_DEVCG_ACC_ */
	u32 asked; /* by access(2): what would be allowed */
	u32 unused;
};

#define SYSCTL_NAME 128
#define SYSCTL_VALUE 64

struct sysctl_key {
	u64 slot;
	u64 program;
	char name[SYSCTL_NAME]; /* net/ipv4/ip_forward */
};

struct sysctl {
	u64 count;
	s32 length; /* or a negative error number */
	u32 unused;
	char value[SYSCTL_VALUE]; /* what was written last */
};

/*
 * Who uses which entry of the scratch maps, of which there is one for each processor. A program can be preempted, and another run on
 * the processor meanwhile: each has a place of its own. The kernel never starts a program that a preempted task is in, and does not
 * preempt those that stand by (standby.h).
 */
enum place { PLACE_CHECK, PLACE_CAPSET, PLACE_PRCTL, PLACE_EXEC, PLACE_STANDBY, PLACES };

/* What a program that stands by is there for. */
enum run { RUN_CHECK, RUN_EXEC, RUN_EXIT, RUNS };

/* Which task ran the program of an event last on this processor, and how often it had been switched to others by then. */
struct last_run {
	u64 thread;
	u64 switches;
};

/* The system call that a task is in. */
struct call {
	s32 number; /* -1: not in a system call */
	bool compat;
	u64 arguments[5];
};

/* In a map and not on the stack, where the verifier would follow each combination of flags by itself. */
struct check_scratch {
	struct check check; /* its kind is that of the check at hand */
	struct call call;
	u64 cred, target; /* addresses of what was asked about */
	u32 credentials; /* which these are: 0 for the task's own, CHECK_OVERRIDDEN or CHECK_OTHER */
	struct check_key key;
	u64 digest; /* of the kind without the number of the path */
	u64 stack; /* address of the first word; 0: not known */
	u64 jiffies, now; /* see recent_time() */
	u64 words[WINDOW];
	u32 room; /* number of the first path that is not there, plus one; 0: all are */
	u32 place; /* in the scratch maps: of this very space */
	u64 above; /* bits of words that lie beyond the last one found */
};

/* A program whose path is being written, and how far up that is. */
struct program_scratch {
	struct program program;
	u64 dentry, mount; /* addresses; of a struct vfsmount, as the next */
	u64 root_dentry, root_mount;
};

struct symbol {
	u64 address;
};

/* How this set was loaded, for whoever finds it pinned. */
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
