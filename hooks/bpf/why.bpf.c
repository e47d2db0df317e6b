// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The kernel part of `capprofctl why`: refused system calls of the watched processes, and their credentials.
 *
 *   watched  thread group -> enum watch_flag; system calls of other processes cost one comparison
 *   joins    mount namespace of a watched container -> 1, for processes that `exec` adds to it
 *   asked    thread -> checks refused in its current system call, and what security modules refused in it
 *   calls    system call -> which arguments are paths and descriptors
 *   seen     refusals that user space knows already, and their counts
 *   filters  seccomp filters that user space knows already
 *   events   to user space
 *
 * Nothing is pinned: the kernel unloads the programs when the process that loaded them ends.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define NULL ((void *)0)

#include "layout.h"
#include "why_kernel.h"
#include "why_layout.h"
#include "task.h"

#define TID_MASK 4095
#define SIGSYS 31

struct kernel_siginfo;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, u32);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u32);
} joins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct asked);
} asked SEC(".maps");

/*
 * How many threads with these last bits have an entry in `asked`; too many after an eviction. Every system call of the host makes this test, so
 * it must be cheap.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TID_MASK + 1);
	__type(key, u32);
	__type(value, u32);
} has_asked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CALLS);
	__type(key, u32);
	__type(value, u32);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct seen_key);
	__type(value, u64);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u64);
} filters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

enum { EVENT_EXIT, EVENT_EXEC, EVENT_END, EVENTS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENTS);
	__type(key, u32);
	__type(value, struct why_event);
} event_scratch SEC(".maps");

/* How much of each had no room. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WHY_LOST);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

static const struct asked no_asked;

#include "why_event.h"

static __always_inline void count_lost(enum why_lost what)
{
	u32 key = what;
	u64 *count = bpf_map_lookup_elem(&lost, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline void tell(struct why_event *event)
{
	if (bpf_ringbuf_output(&events, event, sizeof(*event), 0))
		count_lost(WHY_LOST_EVENTS);
}

/* Returns a number that is the same during one system call, and most probably differs for the next. */
static __always_inline u64 identify(const struct call *call)
{
	u64 digest = mix(call->number, call->arguments[0]);

	digest = mix(digest, call->arguments[1]);
	return mix(digest, call->arguments[2]);
}

/* Returns the entry of the current thread. Makes one if there is none. */
static __always_inline struct asked *asked_of_thread(void)
{
	u32 tid = bpf_get_current_pid_tgid(), slot = tid & TID_MASK, *number;
	struct asked *entry = bpf_map_lookup_elem(&asked, &tid);

	if (entry)
		return entry;
	number = bpf_map_lookup_elem(&has_asked, &slot);
	if (number && !bpf_map_update_elem(&asked, &tid, &no_asked, BPF_NOEXIST))
		__sync_fetch_and_add(number, 1);
	return bpf_map_lookup_elem(&asked, &tid);
}

/* Removes a thread's entry: what was refused in one system call must not explain another. */
static __always_inline void forget(u32 tid)
{
	u32 slot = tid & TID_MASK, *number = bpf_map_lookup_elem(&has_asked, &slot);

	if (number && *number && !bpf_map_delete_elem(&asked, &tid))
		__sync_fetch_and_add(number, -1);
}

/* Returns the entry of the current thread for its current system call. */
static __always_inline struct asked *asked_now(const struct call *call)
{
	struct asked *entry = asked_of_thread();
	u64 identity = identify(call);

	if (entry && entry->call != identity) {
		entry->call = identity;
		entry->number = 0;
		entry->device = 0;
		entry->records = 0;
		entry->hook = 0;
	}
	return entry;
}

static __always_inline int refused_check(void *ctx, const struct cred *cred, struct user_namespace *target, u32 capability)
{
	struct task_struct *current = (void *)bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32, *flags = bpf_map_lookup_elem(&watched, &tgid);
	struct why_check *check;
	struct asked *entry;
	struct call call = {};
	u32 at;

	if (!flags || *flags & WATCH_SPAWNER)
		return 0;
	read_current_call(&call);
	if (call.number < 0)
		return 0;
	entry = asked_now(&call);
	if (!entry)
		return 0;
	at = entry->number++ & (WHY_CHECKS - 1);
	check = &entry->checks[at];
	check->capability = capability;
	check->flags = 0;
	if (!BPF_CORE_READ(target, level))
		check->flags |= WHY_CHECK_INITIAL;
	if (target == BPF_CORE_READ(cred, user_ns))
		check->flags |= WHY_CHECK_OWN;
	if (cred != BPF_CORE_READ(current, cred))
		check->flags |= WHY_CHECK_OTHER_CREDENTIALS;
	check->frames = bpf_get_stack(ctx, check->stack, sizeof(check->stack), 0);
	return 0;
}

/* Linux 6.14 and later have this tracepoint. */
SEC("tp_btf/cap_capable")
int BPF_PROG(why_capable, const struct cred *cred, struct user_namespace *target, const struct user_namespace *capable, int capability,
	     int ret)
{
	return ret ? refused_check(ctx, cred, target, capability) : 0;
}

/* Linux before 6.14 has no tracepoint. */
SEC("fexit/cap_capable")
int BPF_PROG(why_capable_fexit, const struct cred *cred, struct user_namespace *target, int capability, unsigned int opts, int ret)
{
	return ret ? refused_check(ctx, cred, target, capability) : 0;
}

#include "why_modules.h"

/* Sends the current task's filters that user space does not know yet. */
static __always_inline void tell_filters(u64 head)
{
	struct seccomp_filter *filter = (void *)head;

	for (int i = 0; i < WHY_FILTERS; i++) {
		struct sock_fprog_kern *program;
		u64 address = (u64)filter;
		struct why_filter *told;
		u32 length;

		if (!filter || bpf_map_update_elem(&filters, &address, &address, BPF_NOEXIST))
			return;
		told = bpf_ringbuf_reserve(&events, sizeof(*told), 0);
		if (!told) {
			/* The next refusal tries again. */
			bpf_map_delete_elem(&filters, &address);
			count_lost(WHY_LOST_EVENTS);
			return;
		}
		told->kind = WHY_FILTER;
		told->length = 0;
		told->filter = address;
		filter = BPF_CORE_READ(filter, prev);
		told->previous = (u64)filter;
		program = BPF_CORE_READ((struct seccomp_filter *)address, prog, orig_prog);
		length = program ? BPF_CORE_READ(program, len) : 0;
		if (length > WHY_INSTRUCTIONS)
			length = 0;
		/* In one comparison with the next, the compiler compares length - 1: verifiers before Linux 6.15 learn nothing of length from that. */
		asm volatile("" : "+r"(length));
		if (length &&
		    !bpf_probe_read_kernel(told->instructions, length * sizeof(u64), BPF_CORE_READ(program, filter)))
			told->length = length;
		bpf_ringbuf_submit(told, 0);
	}
}

/* Returns true for errors that mean a refusal, and for those that mean one for this call as user space has set. */
static __always_inline bool is_refusal(s64 ret, u32 shape)
{
	struct task_struct___why *current = (void *)bpf_get_current_task();
	u32 errors = shape >> CALL_ERRORS;

	switch (ret) {
	case -1: /* EPERM */
	case -13: /* EACCES */
	case -23: /* ENFILE */
	case -24: /* EMFILE */
	case -30: /* EROFS */
	case -87: /* EUSERS */
	case -122: /* EDQUOT */
		return true;
	case -38: /* ENOSYS */
		return BPF_CORE_READ(current, seccomp.mode);
	case -11:
		return errors & CALL_EAGAIN;
	case -12:
		return errors & CALL_ENOMEM;
	case -18:
		return errors & CALL_EXDEV;
	case -27:
		return errors & CALL_EFBIG;
	case -28:
		return errors & CALL_ENOSPC;
	}
	return false;
}

static __always_inline u32 shape_of(s32 number)
{
	u32 key = number, *shape = bpf_map_lookup_elem(&calls, &key);

	return shape ? *shape : 0;
}

/* Returns which argument the shape names at this shift, counted from 1, or 0 if it names none. */
static __always_inline u32 argument_at(u32 shape, u32 shift)
{
	return shape >> shift & 7;
}

static __always_inline u64 argument(const struct why_event *event, u32 index)
{
	return index && index <= 6 ? event->arguments[(index - 1) & 7] : 0;
}

/* Reads a path. The rest of the buffer is empty, so that equal paths have equal digests. */
static __always_inline void read_path(struct why_event *event, char *path, u32 index)
{
	s64 length;

	__builtin_memset(path, 0, WHY_PATH);
	if (!index)
		return;
	length = bpf_probe_read_user_str(path, WHY_PATH, (void *)argument(event, index));
	if (length < 0)
		path[0] = 0;
	else if (length == WHY_PATH)
		event->flags |= WHY_PATH_TRUNCATED;
}

/* Reads an address, whose length is the argument after it. */
static __always_inline void read_address(struct why_event *event, u32 index)
{
	u64 length = argument(event, index + 1);

	__builtin_memset(event->data, 0, sizeof(event->data));
	if (!index)
		return;
	if (length > sizeof(event->data))
		length = sizeof(event->data);
	/* As with the length of a filter. */
	asm volatile("" : "+r"(length));
	bpf_probe_read_user(event->data, length, (void *)argument(event, index));
}

/* Returns true for the name of a socket below the working directory. */
static __always_inline bool is_relative_socket(const char *address)
{
	return *(const u16 *)address == AF_UNIX && address[2] && address[2] != '/';
}

static __always_inline void read_arguments(struct why_event *event, u32 place, u32 shape)
{
	u32 index;

	read_path(event, event->path, argument_at(shape, CALL_PATH));
	read_path(event, event->path2, argument_at(shape, CALL_PATH2));
	read_address(event, argument_at(shape, CALL_DATA));
	if (event->path[0] == '/')
		return;
	if (argument_at(shape, CALL_DATA)) {
		if (is_relative_socket(event->data))
			write_descriptor(event, place, AT_FDCWD);
		return;
	}
	index = argument_at(shape, CALL_FD);
	if (index)
		write_descriptor(event, place, argument(event, index));
	else if (argument_at(shape, CALL_PATH))
		write_descriptor(event, place, AT_FDCWD);
}

/* Adds memory to a digest, in words. */
static __always_inline u64 mix_memory(u64 digest, const void *memory, u32 size)
{
	for (u32 i = 0; i < size; i += sizeof(u64)) {
		digest = mix(digest, *(const u64 *)(memory + i));
		/* The compiler would load all words at once, and keep them on the stack. */
		asm volatile("" : "+r"(digest) : : "memory");
	}
	return digest;
}

/* Returns false if user space knows the same refusal already. */
static __always_inline bool is_new(struct why_event *event)
{
	struct seen_key key = { .tgid = event->tgid, .call = event->call };
	u64 one = 1, *count, digest = mix(event->result, event->fsuid);

	digest = mix(digest, event->effective);
	for (int i = 0; i < 6; i++)
		digest = mix(digest, event->arguments[i]);
	digest = mix_memory(digest, event->path, sizeof(event->path));
	digest = mix_memory(digest, event->path2, sizeof(event->path2));
	digest = mix_memory(digest, event->data, sizeof(event->data));
	digest = mix(digest, event->records);
	digest = mix(digest, event->hook);
	event->digest = key.digest = mix(digest, event->checks ? event->check[0].capability : 0);
	count = bpf_map_lookup_elem(&seen, &key);
	if (count) {
		__sync_fetch_and_add(count, 1);
		return false;
	}
	bpf_map_update_elem(&seen, &key, &one, BPF_ANY);
	return true;
}

static __always_inline void add_checks(struct why_event *event, const struct call *call)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct asked *entry = bpf_map_lookup_elem(&asked, &tid);

	if (!entry)
		return;
	if (entry->call == identify(call)) {
		event->checks = entry->number;
		if (entry->number)
			bpf_probe_read_kernel(event->check, sizeof(event->check), entry->checks);
		event->records = entry->records;
		event->recorded_ns = entry->recorded_ns;
		event->hook = entry->hook;
		event->hook_answer = entry->hook_answer;
	}
	event->flags |= entry->device;
	event->device_access = entry->device_access;
	event->device_major = entry->device_major;
	event->device_minor = entry->device_minor;
	forget(tid);
}

static __always_inline void read_registers(struct why_event *event, const struct call *call)
{
	struct pt_regs___why *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

	event->call = call->number;
	for (int i = 0; i < 5; i++)
		event->arguments[i] = call->arguments[i];
#if defined(__TARGET_ARCH_x86)
	event->arguments[5] = BPF_CORE_READ(regs, r9);
	event->instruction = BPF_CORE_READ(regs, ip);
#else
	event->arguments[5] = BPF_CORE_READ(regs, regs[5]);
	event->instruction = BPF_CORE_READ(regs, pc);
#endif
	if (call->compat)
		event->flags |= WHY_COMPAT;
}

/* Sends the current call with everything that the kernel knows of it. */
__noinline int refused(s64 ret, u32 flags, u32 how)
{
	u32 place = EVENT_EXIT, shape;
	struct why_event *event = bpf_map_lookup_elem(&event_scratch, &place);
	struct call call = {};
	u64 instruction;

	read_current_call(&call);
	if (!event || call.number < 0)
		return 0;
	shape = call.compat ? 0 : shape_of(call.number);
	if (how == WHY_ANSWERED) {
		if (call.compat || (call.number != SYS_sendmsg && call.number != SYS_sendto))
			return 0;
	} else if (!how && !is_refusal(ret, shape)) {
		return 0;
	}
	describe_task(event, WHY_REFUSED, flags);
	event->flags |= how;
	event->result = ret;
	read_registers(event, &call);
	/* read_arguments() calls write_base(), which overwrites this field. */
	instruction = event->instruction;
	read_arguments(event, place, shape);
	event->instruction = instruction;
	add_checks(event, &call);
	if ((how == WHY_ANSWERED && !event->checks) || !is_new(event))
		return 0;
	tell_filters(event->filter);
	tell(event);
	return 0;
}

/* Reports successful calls that change how paths are read: a new root directory, mount namespace or Landlock domain. */
static __always_inline void succeeded(s32 number, u32 tgid, u32 *flags)
{
	u32 place = EVENT_EXIT;
	struct why_event *event;

	if (number == SYS_landlock_restrict_self) {
		*flags |= WATCH_LANDLOCKED;
		return;
	}
	event = bpf_map_lookup_elem(&event_scratch, &place);
	if (!event)
		return;
	describe_task(event, WHY_NAMESPACE, *flags);
	tell(event);
}

/* A new filter may lie where one lay that is gone, and that user space still knows. */
static __always_inline void installed_filter(void)
{
	struct task_struct___why *current = (void *)bpf_get_current_task();
	u64 filter = (u64)BPF_CORE_READ(current, seccomp.filter);

	bpf_map_delete_elem(&filters, &filter);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(why_system_call, struct pt_regs *regs, long ret)
{
	u64 thread = bpf_get_current_pid_tgid();
	u32 tgid = thread >> 32, tid = thread, slot = tid & TID_MASK, *number, *flags;

	if (ret < 0 && ret >= -122) {
		/* ENOENT is frequent and never a refusal. */
		if (ret != -2) {
			flags = bpf_map_lookup_elem(&watched, &tgid);
			if (flags && !(*flags & WATCH_SPAWNER))
				refused(ret, *flags, 0);
		}
	} else {
#if defined(__TARGET_ARCH_x86)
		s32 call = regs->orig_ax;
#else
		s32 call = regs->syscallno;
#endif
		/* seccomp(2) answers with a descriptor too, and prctl(2) does the same as it. */
		if ((call == SYS_seccomp || call == SYS_prctl) && bpf_map_lookup_elem(&watched, &tgid))
			installed_filter();
	}
	if (ret == 0) {
#if defined(__TARGET_ARCH_x86)
		s32 call = regs->orig_ax;
#else
		s32 call = regs->syscallno;
#endif
		if (call == SYS_landlock_restrict_self || call == SYS_pivot_root || call == SYS_unshare || call == SYS_setns) {
			flags = bpf_map_lookup_elem(&watched, &tgid);
			if (flags && !(*flags & WATCH_SPAWNER))
				succeeded(call, tgid, flags);
		}
	}
	number = bpf_map_lookup_elem(&has_asked, &slot);
	if (number && *number) {
		/* netlink reports a refusal in its answer, and the system call succeeds. */
		flags = ret > 0 ? bpf_map_lookup_elem(&watched, &tgid) : NULL;
		if (flags && !(*flags & WATCH_SPAWNER))
			refused(-1, *flags, WHY_ANSWERED);
		forget(tid);
	}
	return 0;
}

/* A seccomp filter that kills makes the kernel send SIGSYS to the thread, which is still in the system call. */
SEC("tp_btf/signal_generate")
int BPF_PROG(why_signal, int signal, struct kernel_siginfo *info, struct task_struct *task)
{
	u32 tgid, *flags;

	if (signal != SIGSYS || task != bpf_get_current_task_btf())
		return 0;
	tgid = task->tgid;
	flags = bpf_map_lookup_elem(&watched, &tgid);
	if (flags && !(*flags & WATCH_SPAWNER))
		refused(0, *flags, WHY_KILLED);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(why_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 tgid = parent->tgid, child_tgid = child->tgid, *flags, fresh;

	if (tgid == child_tgid)
		return 0;
	flags = bpf_map_lookup_elem(&watched, &tgid);
	if (!flags)
		return 0;
	fresh = *flags & ~WATCH_SPAWNER;
	if (bpf_map_update_elem(&watched, &child_tgid, &fresh, BPF_ANY))
		count_lost(WHY_LOST_PROCESSES);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(why_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	u32 tgid = task->tgid, mounts, place = EVENT_EXEC, *flags = bpf_map_lookup_elem(&watched, &tgid), fresh = 0;
	struct why_event *event;
	struct inode___why *inode;
	struct file *file;
	u32 mode;

	if (!flags) {
		mounts = mount_namespace(task);
		if (!bpf_map_lookup_elem(&joins, &mounts))
			return 0;
		if (bpf_map_update_elem(&watched, &tgid, &fresh, BPF_ANY)) {
			count_lost(WHY_LOST_PROCESSES);
			return 0;
		}
		/* What ran before it was watched has installed the last one of its filters itself. */
		installed_filter();
		flags = bpf_map_lookup_elem(&watched, &tgid);
		if (!flags)
			return 0;
	}
	event = bpf_map_lookup_elem(&event_scratch, &place);
	if (!event)
		return 0;
	file = BPF_CORE_READ(bprm, file);
	inode = (void *)BPF_CORE_READ(file, f_inode);
	mode = BPF_CORE_READ(inode, i_mode);
	*flags &= ~(WATCH_SETUID_IGNORED | WATCH_NOSUID);
	describe_task(event, WHY_EXEC, *flags);
	event->executable_mode = mode;
	if (mode & S_ISUID || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
		if (BPF_CORE_READ(file, f_path.mnt, mnt_flags) & MNT_NOSUID)
			event->flags |= WHY_NOSUID | WHY_SETUID_IGNORED;
		else if (event->flags & WHY_NO_NEW_PRIVILEGES)
			event->flags |= WHY_SETUID_IGNORED;
	}
	if (event->flags & WHY_SETUID_IGNORED)
		*flags |= WATCH_SETUID_IGNORED;
	if (event->flags & WHY_NOSUID)
		*flags |= WATCH_NOSUID;
	write_base(place, number_of(event, BPF_CORE_READ(file, f_path.dentry)), number_of(event, BPF_CORE_READ(file, f_path.mnt)));
	tell(event);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(why_end, struct task_struct *task)
{
	u32 tgid = task->tgid, place = EVENT_END, *flags = bpf_map_lookup_elem(&watched, &tgid);
	struct why_event *event;

	/* A thread that ends in a system call does not come to the call's end. */
	forget(bpf_get_current_pid_tgid());
	if (!flags || BPF_CORE_READ(task, signal, live.counter))
		return 0;
	event = bpf_map_lookup_elem(&event_scratch, &place);
	if (event && !(*flags & WATCH_SPAWNER)) {
		describe_task(event, WHY_EXIT, *flags);
		/* kernel/exit.c, wait_task_zombie() */
		event->result = BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT ? BPF_CORE_READ(task, signal, group_exit_code) :
											BPF_CORE_READ(task, group_leader, exit_code);
		tell(event);
	}
	bpf_map_delete_elem(&watched, &tgid);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct symbol);
} symbols SEC(".maps");

#include "symbols.h"
