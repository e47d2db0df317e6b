// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * capprof's recorder in the kernel: one program set for the whole host, pinned; containers are map entries.
 *
 *   containers  recording slot -> what is known of its container, and what was lost
 *   tasks       thread group -> slot; a process not in it costs one failed lookup per capability check
 *   joins       mount namespace -> slot, for processes that `exec` puts into a container
 *   checks      what the kernel asked, counted
 *   programs    which executables ran
 *   capsets     what capset(2) was asked for
 *   devices     which devices were opened and made
 *   sysctls     which entries of /proc/sys were written
 *   ports       which ports below 1024 were bound
 *   attributes  which file capabilities were written
 *   refusals    task -> checks refused in the system call that it is in, until that returns (see system_call_exit)
 *   symbols     addresses on their way in, names on their way out (see name_symbols)
 *
 * User space writes a slot and its first process as PENDING, and nothing else: the runtime's own work, which that process
 * does until it executes the container's program, must not count. Layouts of keys and values are repeated in
 * hooks/src/ebpf/layout.rs; a change of any of them needs a new version in the pin path.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set by the loader. */
const volatile struct {
	u64 valid_capabilities; /* bits up to /proc/sys/kernel/cap_last_cap */
} settings SEC(".rodata.settings");

#define NULL ((void *)0)

#include "mounters.h"

#define FRAMES 28
#define WINDOW 64 /* words of kernel stack above the hook; a power of two */
#define DEPTH 8 /* return addresses that are compared to tell call paths apart */
#define LEARNED 12 /* frames that are looked for, and that make two paths different */
#define PATHS 64 /* call paths of one kind of check */
#define VERIFY 256 /* every how many hits a path is compared by a stack trace; a power of two */
#define PATH 1024
#define PATH_NAME 256
#define PATH_DEPTH 32
#define ROWS_PER_SLOT 16384
#define EXTENTS 5 /* UID_GID_MAP_MAX_BASE_EXTENTS */
#define REFUSALS 16 /* kinds of refused checks in one system call */

enum capability { CAP_FSETID = 4, CAP_SETGID = 6, CAP_SETUID = 7, CAP_SETPCAP = 8, CAP_NET_ADMIN = 12, CAP_SYS_ADMIN = 21, CAP_SYS_RESOURCE = 24, CAP_SETFCAP = 31, CAP_CHECKPOINT_RESTORE = 40 };

#define CAP_OPT_NOAUDIT 2 /* include/linux/security.h */

enum task_flag { TASK_PENDING = 1, TASK_JOINED = 2 };

struct task {
	u64 slot;
	u64 program; /* key in programs; 0: none executed yet */
	u32 flags;
	u32 unused;
	u64 ambient; /* capabilities that were seen raised */
};

enum loss { LOSS_CHECKS, LOSS_STACKS, LOSS_TASKS, LOSS_PROGRAMS, LOSS_ARGUMENTS, LOSS_CAPSETS, LOSS_JOIN, LOSS_INFLIGHT, LOSS_PATHS, LOSS_RESULTS, LOSSES };

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
	u32 rows;
	u32 unjoinable[2]; /* mount namespaces that are not the container's own: the runtime's, the host's */
	u32 results_wanted; /* the results of system calls in which a check is refused are recorded */
	u32 exited; /* exit_status is known */
	s32 exit_status; /* of the first process, as wait(2) gives it */
	u32 unused;
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
struct check_key {
	u64 slot;
	u64 program;
	s32 syscall;
	u32 flags;
	u32 capability;
	u32 denied;
	u32 path;
	u32 argument; /* see arguments.h */
};

struct check {
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

struct port_key {
	u64 slot;
	u64 program;
	u32 port;
	u32 unused;
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

/* In a map and not on the stack, where the verifier would follow each combination of flags by itself. */
struct check_scratch {
	struct check check;
	struct check_key key;
	u64 words[WINDOW];
	u64 address; /* see value_of() */
	u32 room; /* number of the first path that is not there, plus one; 0: all are */
	u32 unused;
	u64 above; /* bits of words that lie beyond the last one found */
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

#define MAP(name, kind, entries, key_type, value_type)  \
	struct {                                        \
		__uint(type, BPF_MAP_TYPE_##kind);      \
		__uint(max_entries, entries);           \
		__uint(map_flags, BPF_F_NO_PREALLOC);   \
		__type(key, key_type);                  \
		__type(value, value_type);              \
	} name SEC(".maps")

MAP(containers, HASH, 4096, u64, struct container);
MAP(tasks, HASH, 16384, u32, struct task);
MAP(joins, HASH, 4096, u32, u64);
MAP(checks, HASH, 16384, struct check_key, struct check);
MAP(programs, HASH, 4096, struct program_key, struct program);
MAP(capsets, HASH, 4096, struct capset_key, u64);
MAP(calls, HASH, 4096, u64, struct inflight);
MAP(devices, HASH, 4096, struct device_key, u64);
MAP(sysctls, HASH, 4096, struct sysctl_key, struct sysctl);
MAP(ports, HASH, 4096, struct port_key, u64);
MAP(attributes, HASH, 1024, struct attribute_key, u64);

#define ARRAY(name, kind, entries, value_type)     \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_##kind); \
		__uint(max_entries, entries);      \
		__type(key, u32);                  \
		__type(value, value_type);         \
	} name SEC(".maps")

ARRAY(state, ARRAY, 1, struct state);
ARRAY(symbols, ARRAY, 256, struct symbol);
ARRAY(program_scratch, PERCPU_ARRAY, 1, struct program);
ARRAY(attribute_scratch, PERCPU_ARRAY, 1, struct attribute_key);
ARRAY(check_scratches, PERCPU_ARRAY, 1, struct check_scratch);

/* Kept by task and not by its number, which execve(2) exchanges. Goes with the task. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct refusals);
} refusals SEC(".maps");

/*
 * Functions that are not static are looked at by the verifier once, and not at every call: that is half of the time that
 * loading takes. They take no kernel pointers, only their values. A pointer that they are given is plain memory to the verifier, and
 * Linux before 6.2 takes no such pointer for a map's key: a key is copied to the stack first.
 */

static __always_inline void lose(struct container *container, enum loss loss)
{
	__sync_fetch_and_add(&container->losses[loss], 1);
}

static __always_inline u64 mix(u64 digest, u64 word)
{
	digest = (digest ^ word) * 0x9e3779b97f4a7c15ULL;
	return digest ^ (digest >> 29);
}

static __always_inline u64 read_set(const void *set)
{
	u64 bits = 0;
	bpf_probe_read_kernel(&bits, sizeof(bits), set);
	return bits;
}

struct call {
	s32 number; /* -1: not in a system call */
	bool compat;
	u64 arguments[5];
};

#include "arguments.h"

/* The system call that the task is in, by the registers it came with. */
static __always_inline struct pt_regs *current_call(struct task_struct *task, struct call *call)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	/* Threads that the kernel made have registers, and nothing true in them. */
	if (task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)) {
		call->number = -1;
		call->compat = false;
		return regs;
	}
#if defined(__TARGET_ARCH_x86)
	call->number = regs->orig_ax;
	call->compat = task->thread_info.status & TS_COMPAT;
#else
	call->number = regs->syscallno;
	call->compat = task->thread_info.flags & (1UL << TIF_32BIT);
#endif
	return regs;
}

static __always_inline void read_arguments(struct pt_regs *regs, struct call *call)
{
#if defined(__TARGET_ARCH_x86)
	call->arguments[0] = regs->di;
	call->arguments[1] = regs->si;
	call->arguments[2] = regs->dx;
	call->arguments[3] = regs->r10;
	call->arguments[4] = regs->r8;
#else
	call->arguments[0] = regs->orig_x0;
	call->arguments[1] = regs->regs[1];
	call->arguments[2] = regs->regs[2];
	call->arguments[3] = regs->regs[3];
	call->arguments[4] = regs->regs[4];
#endif
}

static __always_inline bool is_execve(s32 number, bool compat)
{
	if (compat)
		return number == COMPAT_execve || number == COMPAT_execveat;
	return number == SYS_execve || number == SYS_execveat;
}

static __always_inline u32 mount_namespace(struct task_struct *task)
{
	return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

/* kernel/user_namespace.c, map_id_down(). -1 where the map is too long to walk here or has no such id. */
__noinline u64 map_down(u64 address, u32 id)
{
	const struct uid_gid_map *map = (void *)address;
	struct {
		u32 first, lower_first, count;
	} extents[EXTENTS] = {};
	u32 length = BPF_CORE_READ(map, nr_extents);

	if (length > EXTENTS ||
	    bpf_probe_read_kernel(extents, sizeof(extents), __builtin_preserve_access_index(&map->extent)))
		return -1;
	for (u32 i = 0; i < EXTENTS; i++)
		if (i < length && id >= extents[i].first && id - extents[i].first < extents[i].count)
			return extents[i].lower_first + (id - extents[i].first);
	return -1;
}

static __always_inline u64 map_uid(const struct cred *cred, u32 id)
{
	struct user_namespace *ns = BPF_CORE_READ(cred, user_ns);
	return map_down((u64)__builtin_preserve_access_index(&ns->uid_map), id);
}

static __always_inline u64 map_gid(const struct cred *cred, u32 id)
{
	struct user_namespace *ns = BPF_CORE_READ(cred, user_ns);
	return map_down((u64)__builtin_preserve_access_index(&ns->gid_map), id);
}

/* capset(2)'s arguments, as the kernel is about to read or has just read them. */
struct capset_arguments {
	u64 effective, permitted, inheritable;
};

static __always_inline bool read_capset(const struct call *call, struct capset_arguments *sets)
{
	u32 version = 0, words[6] = {};

	if (bpf_probe_read_user(&version, sizeof(version), (void *)call->arguments[0]))
		return false;
	/* _LINUX_CAPABILITY_VERSION_1 has one word per set; 2 and 3 have two. */
	if (version == 0x19980330) {
		if (bpf_probe_read_user(words, 12, (void *)call->arguments[1]))
			return false;
	} else if (bpf_probe_read_user(words, sizeof(words), (void *)call->arguments[1])) {
		return false;
	}
	sets->effective = (words[0] | (u64)words[3] << 32) & settings.valid_capabilities;
	sets->permitted = (words[1] | (u64)words[4] << 32) & settings.valid_capabilities;
	sets->inheritable = (words[2] | (u64)words[5] << 32) & settings.valid_capabilities;
	return true;
}

/* Counts a row of a map whose values are counts; 0 if there is no room. */
static __always_inline int count_row(void *map, const void *key)
{
	u64 one = 1, *count = bpf_map_lookup_elem(map, key);

	if (!count && bpf_map_update_elem(map, key, &one, BPF_NOEXIST) == 0)
		return 1;
	if (!count)
		count = bpf_map_lookup_elem(map, key);
	if (!count)
		return 0;
	__sync_fetch_and_add(count, 1);
	return 1;
}

static __always_inline void count_capset(struct container *container, const struct task *task, u64 held,
					 const struct capset_arguments *sets)
{
	struct capset_key key = {
		.slot = task->slot,
		.program = task->program,
		.held = held,
		.effective = sets->effective,
		.permitted = sets->permitted,
		.inheritable = sets->inheritable,
	};

	if (!count_row(&capsets, &key))
		lose(container, LOSS_CAPSETS);
}

#include "ambient.h"
#include "attributes.h"
#include "socket_filter.h"

/*
 * The check inside capset(2) is made first of all, and only its refusal of inheritable bits depends on the answer
 * (security/commoncap.c, cap_capset()). The other rules are repeated here to know whether the call will succeed.
 */
static __noinline bool capset_without_effect(struct container *container, const struct task *task, const struct cred *cred,
						  const struct call *call, int ret)
{
	struct capset_arguments sets;
	u64 inheritable = read_set(__builtin_preserve_access_index(&cred->cap_inheritable));
	u64 permitted = read_set(__builtin_preserve_access_index(&cred->cap_permitted));
	u64 bounding = read_set(__builtin_preserve_access_index(&cred->cap_bset));
	bool raises, own = (u64)BPF_CORE_READ(cred, user_ns) == container->user_namespace;

	if (!read_capset(call, &sets)) {
		lose(container, LOSS_ARGUMENTS);
		return false;
	}
	raises = sets.inheritable & ~(inheritable | permitted);
	/* In a user namespace of its own making a program has what it asks for. */
	if (own && !(raises && ret) && !(sets.inheritable & ~(inheritable | bounding)) && !(sets.permitted & ~permitted) &&
	    !(sets.effective & ~sets.permitted))
		count_capset(container, task, permitted, &sets);
	return !raises;
}

/* Whether the kernel, had it said no, would have let the call do just the same (kernel/sys.c). */
static __noinline bool ids_without_effect(const struct cred *cred, const struct call *call, s32 capability)
{
	u32 real = capability == CAP_SETUID ? BPF_CORE_READ(cred, uid.val) : BPF_CORE_READ(cred, gid.val);
	u32 effective = capability == CAP_SETUID ? BPF_CORE_READ(cred, euid.val) : BPF_CORE_READ(cred, egid.val);
	u32 saved = capability == CAP_SETUID ? BPF_CORE_READ(cred, suid.val) : BPF_CORE_READ(cred, sgid.val);
	bool all = call->number == (capability == CAP_SETUID ? SYS_setresuid : SYS_setresgid);

	if (!all && call->number != (capability == CAP_SETUID ? SYS_setuid : SYS_setgid))
		return false;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		u32 id = call->arguments[i];
		u64 kernel_id;

		if (i > 0 && !all)
			break;
		if (all && id == (u32)-1)
			continue;
		kernel_id = capability == CAP_SETUID ? map_uid(cred, id) : map_gid(cred, id);
		if (kernel_id == (u64)-1)
			return false;
		/* With the capability, setuid sets the real and the saved id as well. */
		if (!all && (kernel_id != real || kernel_id != saved))
			return false;
		/* setresuid may take any of the three without it. */
		if (all && kernel_id != real && kernel_id != effective && kernel_id != saved)
			return false;
	}
	return true;
}

/*
 * Whoever changes the mode of a file of a group that is not its own is asked, since the set-gid bit is taken out of the new mode
 * without; that matters only where the new mode has it (fs/attr.c, setattr_prepare()).
 */
static __always_inline bool mode_without_set_gid(const struct call *call)
{
	const u64 set_gid = 02000;

	if (call->number == SYS_chmod || call->number == SYS_fchmod)
		return !(call->arguments[1] & set_gid);
	if (call->number == SYS_fchmodat || call->number == SYS_fchmodat2)
		return !(call->arguments[2] & set_gid);
	return false;
}

static __always_inline bool opens_for_writing(const struct call *call)
{
	u64 flags = 0;

	if (call->number == SYS_openat)
		flags = call->arguments[2];
	else if (call->number == SYS_open)
		flags = call->arguments[1];
	else if (call->number == SYS_creat)
		flags = 1;
	else if (call->number == SYS_openat2)
		bpf_probe_read_user(&flags, sizeof(flags), (void *)call->arguments[2]);
	return flags & 3; /* O_ACCMODE */
}

__noinline int classify_namespace(u64 own, u64 target)
{
	struct user_namespace *ns = (void *)target;

	if (!own)
		return NAMESPACE_UNKNOWN;
	if (!BPF_CORE_READ(ns, parent))
		return NAMESPACE_INITIAL;
	for (int i = 0; i < 32; i++) { /* kernel/user_namespace.c refuses more levels */
		ns = BPF_CORE_READ(ns, parent);
		if (!ns)
			break;
		if ((u64)ns == own)
			return NAMESPACE_NESTED;
	}
	return NAMESPACE_FOREIGN;
}

/* security/commoncap.c, cap_capable(): the owner of a namespace has all capabilities in it. */
__noinline int granted_to_owner(u64 own, u32 euid, u64 target)
{
	struct user_namespace *ns = (void *)target;

	for (int i = 0; i < 32; i++) {
		struct user_namespace *parent;

		if (!ns || (u64)ns == own)
			return 0;
		parent = BPF_CORE_READ(ns, parent);
		if ((u64)parent == own && BPF_CORE_READ(ns, owner.val) == euid)
			return 1;
		ns = parent;
	}
	return 0;
}

/*
 * A stack trace costs two microseconds. Return addresses of one call path lie at the same distances from the hook each time, so
 * that a path which was traced once is known again by reading a few words. Two paths cannot be mistaken for each other: where
 * they first differ, the same place holds different addresses. (Until it is known which of two equal words is the return
 * address and which was left lying, a trace puts it right.)
 */
__noinline int is_path(const struct check *row, const struct check_scratch *scratch)
{
	if (!row || !scratch || !row->depth)
		return 0;
	for (u32 i = 0; i < DEPTH; i++) {
		u32 frame = row->from + i;

		if (i >= row->depth)
			break;
		if (frame >= FRAMES || scratch->words[row->offsets[i] & (WINDOW - 1)] != row->stack[frame])
			return 0;
	}
	return 1;
}

/* Bit i is set where words[i] is the address. Without branches, of which the verifier would follow each both ways. */
__noinline u64 find_word(const struct check_scratch *scratch, u64 address)
{
	u64 found = 0;

	if (!scratch)
		return 0;
	for (u32 i = 0; i < WINDOW; i++) {
		u64 difference = scratch->words[i] ^ address;

		difference |= -difference;
		barrier_var(difference); /* or the compiler makes a branch of it */
		found |= (~difference >> 63) << i;
	}
	return found;
}

/* Finds the frames of a trace in the window. */
__noinline int learn_path(struct check_scratch *scratch, bool have_words)
{
	struct check *row;

	if (!scratch)
		return 0;
	row = &scratch->check;
	row->digest = 1;
	for (u32 frame = 1; frame < LEARNED; frame++) {
		if ((s32)frame >= row->frames)
			break;
		row->digest = mix(row->digest, row->stack[frame]);
	}
	row->depth = 0;
	row->from = 0;
	if (!have_words)
		return 0;
	scratch->above = ~0ULL;
	/* The first frame is the recorder, the last lies above a gap of random size (CONFIG_RANDOMIZE_KSTACK_OFFSET). */
	for (u32 frame = 1; frame < LEARNED; frame++) {
		u32 depth = row->depth;
		u64 found;

		if ((s32)frame >= row->frames - 1 || depth >= DEPTH)
			break;
		found = find_word(scratch, row->stack[frame]) & scratch->above;
		found &= -found;
		if (!found) {
			if (depth)
				break;
			continue;
		}
		if (!depth)
			row->from = frame;
		row->offsets[depth] = __builtin_popcountll(found - 1);
		row->depth = depth + 1;
		scratch->above = ~(found | (found - 1));
	}
	return row->depth;
}

static __always_inline void count_check(struct check *row, u64 now)
{
	__sync_fetch_and_add(&row->count, 1);
	row->last_ns = now;
}

/* Counts the check if its path is known by the words on the stack, and not due to be looked at again. */
__noinline int count_known_path(struct check_scratch *scratch, u64 now)
{
	struct check_key key;

	if (!scratch)
		return 0;
	key = scratch->key; /* see above: keys have to lie on the stack here */
	for (u32 i = 0; i < PATHS; i++) {
		struct check *row;

		key.path = i;
		row = bpf_map_lookup_elem(&checks, &key);
		if (!row)
			return 0;
		if (is_path(row, scratch)) {
			if (!(row->count & (VERIFY - 1)))
				return 0;
			scratch->key.path = i;
			count_check(row, now);
			return 1;
		}
	}
	return 0;
}

/* Counts the check if its path is known by its trace, and otherwise finds a number for it. */
__noinline int count_traced_path(struct check_scratch *scratch, u64 now)
{
	struct check_key key;

	if (!scratch)
		return 0;
	key = scratch->key;
	scratch->room = 0;
	for (u32 i = 0; i < PATHS; i++) {
		struct check *row;

		key.path = i;
		row = bpf_map_lookup_elem(&checks, &key);
		if (!row) {
			scratch->room = i + 1;
			return 0;
		}
		if (row->digest == scratch->check.digest) {
			scratch->key.path = i;
			count_check(row, now);
			if (scratch->check.depth) {
				/* Equal frames in other places: what was found before had been left lying. */
				row->from = scratch->check.from;
				row->depth = scratch->check.depth;
				__builtin_memcpy(row->offsets, scratch->check.offsets, sizeof(row->offsets));
			}
			return 1;
		}
	}
	return 0;
}

/* The verifier lets no kernel pointer be passed as a number; what comes back from memory is one. */
static __always_inline u64 value_of(struct check_scratch *scratch, const void *pointer)
{
	*(volatile u64 *)&scratch->address = (u64)pointer;
	return *(volatile u64 *)&scratch->address;
}

/* What the kernel asked, and what it answered. */
struct question {
	const void *stack; /* where return addresses begin; NULL where they are not known to lie at fixed distances */
	s32 capability;
	u32 opts;
	bool opts_known;
	bool denied;
};

static __always_inline bool same_kind(const struct check_key *one, const struct check_key *other)
{
	return one->slot == other->slot && one->program == other->program && one->syscall == other->syscall &&
	       one->flags == other->flags && one->capability == other->capability && one->path == other->path &&
	       one->argument == other->argument;
}

/* Remembers the refused check that scratch->key is the row of, until the system call returns. */
static __noinline int remember_refusal(struct container *container, struct check_scratch *scratch)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct refusals *refused;
	u32 number;

	if (!container || !scratch)
		return 0;
	refused = bpf_task_storage_get(&refusals, current, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!refused) {
		lose(container, LOSS_RESULTS);
		return 0;
	}
	number = refused->number;
	for (u32 i = 0; i < REFUSALS; i++) {
		if (i >= number)
			break;
		if (same_kind(&refused->of[i].key, &scratch->key)) {
			refused->of[i].count++;
			return 0;
		}
	}
	if (number >= REFUSALS) {
		lose(container, LOSS_RESULTS);
		return 0;
	}
	refused->of[number].key = scratch->key;
	refused->of[number].count = 1;
	refused->number = number + 1;
	return 0;
}

/* Counts the check in the row of its call path, which scratch->key then names; 0 if there is no room. */
static __noinline int count_member(void *ctx, struct container *container, struct check_scratch *scratch, const void *stack)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct check *row, *fresh;
	struct check_key *key;
	u64 now = bpf_ktime_get_boot_ns();

	if (!container || !scratch)
		return 0;
	key = &scratch->key;
	fresh = &scratch->check;
	if (!stack || bpf_probe_read_kernel(scratch->words, sizeof(scratch->words), stack))
		stack = NULL;
	else if (count_known_path(scratch, now))
		return 1;

	fresh->count = 1;
	fresh->first_ns = fresh->last_ns = now;
	fresh->tgid = current->tgid;
	fresh->depth = 0;
	bpf_get_current_comm(fresh->comm, sizeof(fresh->comm));
	fresh->frames = bpf_get_stack(ctx, fresh->stack, sizeof(fresh->stack), 0);
	if (fresh->frames > 0) {
		fresh->frames /= sizeof(u64);
	} else {
		fresh->frames = 0;
		lose(container, LOSS_STACKS);
	}
	learn_path(scratch, stack != NULL);
	if (count_traced_path(scratch, now))
		return 1;
	if (scratch->room && container->rows < ROWS_PER_SLOT) {
		key->path = scratch->room - 1;
		if (bpf_map_update_elem(&checks, key, fresh, BPF_NOEXIST) == 0) {
			__sync_fetch_and_add(&container->rows, 1);
			return 1;
		}
		/* Another processor was faster, perhaps with the same path, or there is no room. */
		if (count_traced_path(scratch, now))
			return 1;
	}
	/* Whose work the kernel does under other credentials needs no telling apart. */
	key->path = 0;
	row = key->flags & CHECK_OVERRIDDEN ? bpf_map_lookup_elem(&checks, key) : NULL;
	if (row) {
		count_check(row, now);
		return 1;
	}
	lose(container, container->rows >= ROWS_PER_SLOT ? LOSS_CHECKS : LOSS_PATHS);
	return 0;
}

/* Whether the credentials are copies of those with which the container mounted something. */
static __always_inline bool is_mounters(const struct container *container, const struct cred *cred)
{
	struct mounter mounter;

	if (!container->mounters.of[0].groups)
		return false;
	mounter = mounter_of(cred);
	for (u32 i = 0; i < MOUNTERS; i++)
		if (container->mounters.of[i].groups == mounter.groups && container->mounters.of[i].keyring == mounter.keyring)
			return true;
	return false;
}

/* The part for processes that belong to a container. */
static __noinline int record_member(void *ctx, const struct cred *cred, struct user_namespace *target,
					  const struct question *question, const struct task *found)
{
	struct task_struct *current = bpf_get_current_task_btf();
	u32 zero = 0, opts = question->opts;
	s32 capability = question->capability, ret = question->denied;
	bool opts_known = question->opts_known;
	const void *stack = question->stack;
	struct task task = *found;
	struct container *container;
	struct pt_regs *regs;
	struct call call = {};
	struct check_scratch *scratch;
	struct check_key *key;
	u32 class;

	container = bpf_map_lookup_elem(&containers, &task.slot);
	scratch = bpf_map_lookup_elem(&check_scratches, &zero);
	if (!container || !scratch)
		return 0;
	key = &scratch->key;
	key->flags = 0;

	regs = current_call(current, &call);
	if (task.flags & TASK_PENDING) {
		/* Of the runtime's own work only the last step is the container's. */
		if (!is_execve(call.number, call.compat))
			return 0;
		key->flags |= CHECK_PRE_EXEC;
	}
	read_arguments(regs, &call);

	if (task.flags & TASK_JOINED)
		key->flags |= CHECK_JOINED;
	if (call.compat)
		key->flags |= CHECK_COMPAT;
	if (cred != BPF_CORE_READ(current, real_cred))
		key->flags |= cred == BPF_CORE_READ(current, cred) ? CHECK_OVERRIDDEN : CHECK_OTHER;
	if (key->flags & CHECK_OVERRIDDEN && is_mounters(container, cred))
		key->flags |= CHECK_MOUNTER;
	if (opts_known)
		key->flags |= opts & CAP_OPT_NOAUDIT ? CHECK_SILENT : CHECK_AUDITED;
	if (task.flags & TASK_PENDING) {
		/* Not armed yet, but at this point the runtime's process is in the container's namespaces. */
		class = BPF_CORE_READ(current, real_cred, user_ns) == target ? NAMESPACE_OWN : NAMESPACE_INITIAL;
	} else if ((u64)target == container->user_namespace) {
		class = NAMESPACE_OWN;
	} else {
		u64 own = (u64)BPF_CORE_READ(cred, user_ns), asked = value_of(scratch, target);

		class = classify_namespace(container->user_namespace, asked);
		if (ret == 0 && asked != own && granted_to_owner(own, BPF_CORE_READ(cred, euid.val), asked))
			key->flags |= CHECK_BY_OWNER;
		else if (class == NAMESPACE_NESTED && own == container->user_namespace)
			class = NAMESPACE_NESTED_OTHER;
	}
	key->flags |= class << CHECK_NAMESPACE;
	if (!call.compat) {
		if (capability == CAP_SETUID || capability == CAP_SETGID) {
			if (ids_without_effect(cred, &call, capability))
				key->flags |= CHECK_WITHOUT_EFFECT;
		} else if (capability == CAP_SETPCAP && call.number == SYS_capset) {
			if (capset_without_effect(container, &task, cred, &call, ret))
				key->flags |= CHECK_WITHOUT_EFFECT;
		} else if (capability == CAP_FSETID) {
			if (mode_without_set_gid(&call))
				key->flags |= CHECK_WITHOUT_EFFECT;
		} else if (capability == CAP_SYS_ADMIN || capability == CAP_NET_ADMIN || capability == CAP_SYS_RESOURCE ||
			   capability == CAP_CHECKPOINT_RESTORE) {
			/* Files of /proc/sys ask whoever opens them; only a writer needs the answer, and root has it without. */
			if (opens_for_writing(&call))
				key->flags |= CHECK_OPEN_WRITE;
			if (BPF_CORE_READ(cred, euid.val) == 0)
				key->flags |= CHECK_ROOT;
		}
	}

	if (capability == CAP_SYS_ADMIN && !ret && class == NAMESPACE_OWN && !(key->flags & (CHECK_OVERRIDDEN | CHECK_OTHER)) &&
	    !call.compat && (call.number == SYS_mount || call.number == SYS_fsopen)) {
		struct mounter mounter = mounter_of(cred);

		remember_mounter(&container->mounters, mounter.groups, mounter.keyring);
	}

	key->slot = task.slot;
	key->program = task.program;
	key->argument = deciding_argument(&call);
	if (capability == CAP_NET_ADMIN && call.number == SYS_sendmsg && !call.compat)
		key->argument = socket_filter(call.arguments[1]);
	if (capability == CAP_SETFCAP && !ret && !call.compat)
		count_attribute(container, task.slot, &call);
	if (capability == CAP_SYS_ADMIN && is_execve(call.number, call.compat))
		look_at_ambient(container, tgid_of(current), cred);
	key->syscall = call.number;
	key->capability = capability;
	key->denied = ret != 0;
	if (count_member(ctx, container, scratch, stack) && ret && container->results_wanted && call.number >= 0)
		remember_refusal(container, scratch);
	return 0;
}

/* For all other processes of the host one failed lookup is all. */
static __always_inline void record(void *ctx, const void *stack, const struct cred *cred, struct user_namespace *target,
				   s32 capability, u32 opts, bool opts_known, int ret)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task *found = bpf_map_lookup_elem(&tasks, &tgid);

	if (found) {
		struct question question = {
			.stack = stack,
			.capability = capability,
			.opts = opts,
			.opts_known = opts_known,
			.denied = ret != 0,
		};
		record_member(ctx, cred, target, &question, found);
	}
}

/* Linux 6.14 and later; sees every check, but not with which options it was made. */
SEC("tp_btf/cap_capable")
int BPF_PROG(tp_cap_capable, const struct cred *cred, struct user_namespace *target, const struct user_namespace *capable,
	     int capability, int ret)
{
	record(ctx, ctx, cred, target, capability, 0, false, ret);
	return 0;
}

/* Sees the options, but not the checks that the compiler put in line inside security/commoncap.c. */
SEC("fexit/cap_capable")
int BPF_PROG(fexit_cap_capable, const struct cred *cred, struct user_namespace *target, int capability, unsigned int opts, int ret)
{
	record(ctx, ctx, cred, target, capability, opts, true, ret);
	return 0;
}

SEC("kprobe/cap_capable")
int BPF_KPROBE(kprobe_cap_capable, const struct cred *cred, struct user_namespace *target, int capability, unsigned int opts)
{
	u64 thread = bpf_get_current_pid_tgid();
	u32 tgid = thread >> 32;
	struct inflight call = { .cred = (u64)cred, .ns = (u64)target, .stack = PT_REGS_SP(ctx), .capability = capability, .opts = opts };
	struct task *task = bpf_map_lookup_elem(&tasks, &tgid);

	if (!task)
		return 0;
	if (bpf_map_update_elem(&calls, &thread, &call, BPF_ANY)) {
		struct container *container = bpf_map_lookup_elem(&containers, &task->slot);
		if (container)
			lose(container, LOSS_INFLIGHT);
	}
	return 0;
}

SEC("kretprobe/cap_capable")
int BPF_KRETPROBE(kretprobe_cap_capable, int ret)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct inflight *call = bpf_map_lookup_elem(&calls, &thread), copy;

	if (!call)
		return 0;
	copy = *call;
	bpf_map_delete_elem(&calls, &thread);
	/* Above the return address, which the probe has exchanged, lies what lay there at the call. */
	record(ctx, (void *)(copy.stack + 8), (const struct cred *)copy.cred, (struct user_namespace *)copy.ns, copy.capability, copy.opts, true, ret);
	return 0;
}

/* Stands beside fexit/cap_capable, for the check that is in line here. */
SEC("fexit/cap_capset")
int BPF_PROG(fexit_cap_capset, struct cred *new, const struct cred *old, const kernel_cap_t *effective,
	     const kernel_cap_t *inheritable, const kernel_cap_t *permitted, int ret)
{
	struct task_struct *current = bpf_get_current_task_btf();
	u32 tgid = current->tgid;
	struct task *task = bpf_map_lookup_elem(&tasks, &tgid);
	struct container *container;
	u64 held, before;
	struct capset_arguments sets = {
		.effective = read_set(effective),
		.permitted = read_set(permitted),
		.inheritable = read_set(inheritable),
	};

	if (!task || task->flags & TASK_PENDING)
		return 0;
	container = bpf_map_lookup_elem(&containers, &task->slot);
	if (!container)
		return 0;
	if ((u64)BPF_CORE_READ(old, user_ns) != container->user_namespace)
		return 0;
	held = read_set(__builtin_preserve_access_index(&old->cap_permitted));
	before = read_set(__builtin_preserve_access_index(&old->cap_inheritable));
	if (ret == 0)
		count_capset(container, task, held, &sets);
	if (sets.inheritable & ~(before | held))
		record(ctx, NULL, old, BPF_CORE_READ(old, user_ns), CAP_SETPCAP, 0, true, ret);
	return 0;
}

/* The same, for PR_SET_SECUREBITS. */
SEC("fexit/cap_task_prctl")
int BPF_PROG(fexit_cap_task_prctl, int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5,
	     int ret)
{
	struct task_struct *current = bpf_get_current_task_btf();

	if (option == 28 /* PR_SET_SECUREBITS */ && (ret == 0 || ret == -1))
		record(ctx, NULL, BPF_CORE_READ(current, cred), BPF_CORE_READ(current, cred, user_ns), CAP_SETPCAP, 0, true, ret);
	return 0;
}

__noinline int write_path(struct program *program, u64 file_dentry, u64 file_mount, u64 root_dentry, u64 root_mount)
{
	struct dentry *dentry = (void *)file_dentry;
	struct vfsmount *vfsmount = (void *)file_mount;
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);

	if (!program)
		return 0;
	/* Length and flags live in memory, where the verifier does not follow them from turn to turn. */
	program->flags = PROGRAM_TRUNCATED;
	program->length = 0;
	for (int i = 0; i < PATH_DEPTH; i++) {
		struct dentry *parent;
		u32 offset, length;

		if ((u64)dentry == root_dentry && (u64)vfsmount == root_mount) {
			program->flags &= ~PROGRAM_TRUNCATED;
			return 0;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == BPF_CORE_READ(vfsmount, mnt_root) || dentry == parent) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);
			/*
			 * A mount namespace made inside the container has mounts of its own, of the same tree; above its root lies what
			 * pivot_root(2) left there.
			 */
			bool same_tree = (u64)dentry == root_dentry;

			if (same_tree || above == mount) {
				if (!same_tree)
					program->flags |= PROGRAM_OUTSIDE;
				program->flags &= ~PROGRAM_TRUNCATED;
				return 0;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			vfsmount = (void *)mount + bpf_core_field_offset(struct mount, mnt);
			program->flags |= PROGRAM_OTHER_MOUNT;
			continue;
		}
		offset = program->length;
		if (offset >= PATH)
			return 0;
		length = BPF_CORE_READ(dentry, d_name.len);
		if (length >= PATH_NAME)
			return 0;
		if (bpf_probe_read_kernel(&program->path[offset], length, BPF_CORE_READ(dentry, d_name.name)))
			return 0;
		offset += length;
		if (offset >= PATH + PATH_NAME)
			return 0;
		program->path[offset] = 0;
		program->length = offset + 1;
		dentry = parent;
	}
	return 0;
}

#include "execution.h"

/*
 * Whether the task's root directory is the container's. Numbers of mount namespaces are used again as soon as nobody is in one, and a
 * container's processes can all leave the one that they started in.
 */
static __always_inline bool has_root_of(struct task_struct *task, const struct container *container)
{
	return (u64)BPF_CORE_READ(task, fs, root.dentry) == container->root_dentry &&
	       (u64)BPF_CORE_READ(task, fs, root.mnt) == container->root_mount;
}

/* Has `exec` into the task's mount namespace join the slot; false if it leads to another container that shares it, or there is no room. */
static __always_inline bool register_join(struct task_struct *task, u32 mounts, u64 *slot)
{
	u64 *other = bpf_map_lookup_elem(&joins, &mounts);

	if (other && *other != *slot) {
		struct container *theirs = bpf_map_lookup_elem(&containers, other);

		if (theirs && has_root_of(task, theirs))
			return false;
	}
	return bpf_map_update_elem(&joins, &mounts, slot, BPF_ANY) == 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	u32 tgid = task->tgid, mounts;
	struct task *member = bpf_map_lookup_elem(&tasks, &tgid), fresh = {};
	struct container *container;
	u64 *slot;

	if (member) {
		container = bpf_map_lookup_elem(&containers, &member->slot);
		if (!container)
			return 0;
		if (member->flags & TASK_PENDING) {
			mounts = mount_namespace(task);
			container->user_namespace = (u64)BPF_CORE_READ(task, cred, user_ns);
			container->mount_namespace = mounts;
			container->root_dentry = (u64)BPF_CORE_READ(task, fs, root.dentry);
			container->root_mount = (u64)BPF_CORE_READ(task, fs, root.mnt);
			container->init = tgid;
			/* The same for every task of this kernel; programs of control groups cannot ask for it. See value_of(). */
			*(volatile u64 *)&container->registers = bpf_task_pt_regs(bpf_get_current_task_btf());
			container->registers = *(volatile u64 *)&container->registers - (u64)BPF_CORE_READ(task, stack);
			container->executed_ns = bpf_ktime_get_boot_ns();
			container->ambient = ambient_set(BPF_CORE_READ(task, cred));
			if (mounts != container->unjoinable[0] && mounts != container->unjoinable[1] &&
			    !register_join(task, mounts, &member->slot))
				lose(container, LOSS_JOIN);
			member->flags &= ~TASK_PENDING;
		}
		look_at_memory_policy(member, task);
		member->program = execute(container, member->slot, task, bprm);
		return 0;
	}
	mounts = mount_namespace(task);
	slot = bpf_map_lookup_elem(&joins, &mounts);
	if (!slot)
		return 0;
	container = bpf_map_lookup_elem(&containers, slot);
	if (!container || !has_root_of(task, container))
		return 0;
	fresh.slot = *slot;
	fresh.flags = TASK_JOINED;
	fresh.program = execute(container, fresh.slot, task, bprm);
	if (bpf_map_update_elem(&tasks, &tgid, &fresh, BPF_ANY))
		lose(container, LOSS_TASKS);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 tgid = parent->tgid, child_tgid = child->tgid;
	struct task *member, fresh;

	if (tgid == child_tgid)
		return 0;
	member = bpf_map_lookup_elem(&tasks, &tgid);
	/* What the runtime forks before the container's program runs is the runtime's: its hooks, for example. */
	if (!member || member->flags & TASK_PENDING)
		return 0;
	fresh = *member;
	if (bpf_map_update_elem(&tasks, &child_tgid, &fresh, BPF_ANY)) {
		struct container *container = bpf_map_lookup_elem(&containers, &fresh.slot);
		if (container)
			lose(container, LOSS_TASKS);
	}
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	u32 tgid = task->tgid;
	struct task *member = bpf_map_lookup_elem(&tasks, &tgid);
	struct container *container;

	if (!member)
		return 0;
	container = bpf_map_lookup_elem(&containers, &member->slot);
	if (container && !(member->flags & TASK_PENDING)) {
		look_at_memory_policy(member, task);
		look_at_ambient(container, tgid, BPF_CORE_READ(task, cred));
	}
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	if (container && (container->init == tgid || member->flags & TASK_PENDING)) {
		u32 mounts = container->mount_namespace;
		u64 *slot = bpf_map_lookup_elem(&joins, &mounts);

		/* Numbers of namespaces are used again at once. */
		if (slot && *slot == member->slot)
			bpf_map_delete_elem(&joins, &mounts);
		container->ended = 1;
		if (container->init == tgid && !(member->flags & TASK_PENDING)) {
			/* kernel/exit.c, wait_task_zombie() */
			container->exit_status = BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT ?
							 BPF_CORE_READ(task, signal, group_exit_code) :
							 BPF_CORE_READ(task, group_leader, exit_code);
			container->exited = 1;
		}
	}
	bpf_map_delete_elem(&tasks, &tgid);
	return 0;
}

/*
 * What became of a system call in which a check was refused. Costs every system call of the host a little, so it is loaded beside the
 * other programs, and attached, only as long as a container wants results.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(system_call_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct refusals *refused = bpf_task_storage_get(&refusals, current, 0, 0);
	u32 number, result;

	if (!refused || !refused->number)
		return 0;
	number = refused->number;
	refused->number = 0;
	if ((unsigned long)ret < (unsigned long)-4095L) /* MAX_ERRNO */
		result = RESULT_SUCCESS;
	else if (ret == -1 /* EPERM */)
		result = RESULT_EPERM;
	else if (ret == -13 /* EACCES */)
		result = RESULT_EACCES;
	else
		result = RESULT_OTHER;
	for (u32 i = 0; i < REFUSALS; i++) {
		struct check *row;

		if (i >= number)
			break;
		row = bpf_map_lookup_elem(&checks, &refused->of[i].key);
		if (row)
			__sync_fetch_and_add(&row->results[result], refused->of[i].count);
	}
	return 0;
}

/*
 * Names of kernel functions without /proc/kallsyms, which takes tens of milliseconds to read and may hide its addresses:
 * whoever reads the pinned iterator gets one line for each address that user space has put into the map.
 */
SEC("iter/bpf_map_elem")
int name_symbols(struct bpf_iter__bpf_map_elem *ctx)
{
	static const char format[] = "%ps\n";
	struct symbol *symbol = ctx->value;
	u64 address;

	if (!symbol || !symbol->address)
		return 0;
	address = symbol->address;
	bpf_seq_printf(ctx->meta->seq, format, sizeof(format), &address, sizeof(address));
	return 0;
}

/* Whether the task is in access(2), which opens nothing. */
static __always_inline bool asks_for_access(struct task_struct *task, const struct container *container)
{
	struct pt_regs *regs = (void *)BPF_CORE_READ(task, stack) + container->registers;
	s32 number;

	if (!container->registers || BPF_CORE_READ(task, flags) & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER))
		return false;
#if defined(__TARGET_ARCH_x86)
	number = BPF_CORE_READ(regs, orig_ax);
	if (BPF_CORE_READ(task, thread_info.status) & TS_COMPAT)
#else
	number = BPF_CORE_READ(regs, syscallno);
	if (BPF_CORE_READ(task, thread_info.flags) & (1UL << TIF_32BIT))
#endif
		return number == COMPAT_access || number == COMPAT_faccessat || number == SYS_faccessat2;
	return number == SYS_access || number == SYS_faccessat || number == SYS_faccessat2;
}

/* The member of a container that the current task is, or NULL; and its container. */
static __always_inline struct task *current_member(struct task_struct *current, struct container **container)
{
	u32 tgid = BPF_CORE_READ(current, tgid);
	struct task *task = bpf_map_lookup_elem(&tasks, &tgid);

	if (!task || task->flags & TASK_PENDING)
		return NULL;
	*container = bpf_map_lookup_elem(&containers, &task->slot);
	return *container ? task : NULL;
}

/*
 * The next two run beside those of the engine, which decide: a use is allowed if every program allows it, and these allow all. They
 * are attached to the root of the hierarchy, for a runtime exchanges what is attached to the container's own control group.
 */

/* The kernel asks when a device node is opened or made, a block device is mounted, or access(2) asks about one. */
SEC("cgroup/dev")
int device_access(struct bpf_cgroup_dev_ctx *ctx)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	struct container *container;
	struct task *task = current_member(current, &container);
	struct device_key key = {};

	/* Refused by the engine's program already. */
	if (!task || bpf_get_retval())
		return 1;
	key.slot = task->slot;
	key.program = task->program;
	key.type = ctx->access_type & 0xffff;
	key.access = ctx->access_type >> 16;
	key.major = ctx->major;
	key.minor = ctx->minor;
	key.asked = asks_for_access(current, container);
	if (!count_row(&devices, &key))
		__sync_fetch_and_add(&container->unlisted, 1);
	return 1;
}

SEC("cgroup/sysctl")
int sysctl_write(struct bpf_sysctl *ctx)
{
	struct container *container;
	struct task *task;
	struct sysctl_key key = {};
	struct sysctl row = {}, *known;

	if (!ctx->write)
		return 1;
	task = current_member((void *)bpf_get_current_task(), &container);
	if (!task || bpf_get_retval())
		return 1;
	key.slot = task->slot;
	key.program = task->program;
	if (bpf_sysctl_get_name(ctx, key.name, sizeof(key.name), 0) < 0) {
		__sync_fetch_and_add(&container->unlisted, 1);
		return 1;
	}
	known = bpf_map_lookup_elem(&sysctls, &key);
	row.count = known ? known->count + 1 : 1;
	row.length = bpf_sysctl_get_new_value(ctx, row.value, sizeof(row.value));
	if (bpf_map_update_elem(&sysctls, &key, &row, BPF_ANY))
		__sync_fetch_and_add(&container->unlisted, 1);
	return 1;
}

/*
 * A port below 1024 that was bound: where net.ipv4.ip_unprivileged_port_start lets everybody, as docker sets it, the kernel asks for no
 * capability, and the next engine's container fails without.
 */
static __always_inline int port_bound(struct bpf_sock_addr *ctx)
{
	struct container *container;
	struct task *task = current_member((void *)bpf_get_current_task(), &container);
	struct port_key key = {};

	if (!task)
		return 1;
	key.port = __builtin_bswap16(ctx->user_port);
	if (!key.port || key.port >= 1024)
		return 1;
	key.slot = task->slot;
	key.program = task->program;
	if (!count_row(&ports, &key))
		__sync_fetch_and_add(&container->unlisted, 1);
	return 1;
}

SEC("cgroup/bind4")
int port_bound4(struct bpf_sock_addr *ctx)
{
	return port_bound(ctx);
}

SEC("cgroup/bind6")
int port_bound6(struct bpf_sock_addr *ctx)
{
	return port_bound(ctx);
}
