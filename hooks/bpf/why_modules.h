/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What security modules and control groups refuse. Each program runs in the thread and the system call that is refused.
 */
#pragma once

/* The header of a netlink message, with which a record begins (include/uapi/linux/netlink.h). */
struct record_header {
	u32 length;
	u16 type;
	u16 flags;
	u32 sequence, port;
};

static __always_inline bool is_watched(void)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, *flags = bpf_map_lookup_elem(&watched, &tgid);

	return flags && !(*flags & WATCH_SPAWNER);
}

/* Reads the answer of the programs that ran before it at the control group (bpf_get_retval(), Linux 5.18). */
SEC("cgroup/dev")
int why_device(struct bpf_cgroup_dev_ctx *ctx)
{
	struct asked *entry = is_watched() ? asked_of_thread() : NULL;

	if (!entry)
		return 1;
	entry->device = WHY_DEVICE | (bpf_get_retval() ? WHY_DEVICE_REFUSED : 0);
	entry->device_access = ctx->access_type;
	entry->device_major = ctx->major;
	entry->device_minor = ctx->minor;
	return 1;
}

/* SELinux and AppArmor write a record of what they refuse before they return the error. Here it is whole, and not yet queued. */
SEC("fentry/audit_log_end")
int BPF_PROG(why_record, struct audit_buffer *buffer)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct record_header header = {};
	struct why_record *record;
	struct call call = {};
	unsigned char *data;
	struct asked *entry;
	u32 length, copied;

	if (!is_watched())
		return 0;
	data = BPF_CORE_READ(buffer, skb, data);
	length = BPF_CORE_READ(buffer, skb, len);
	if (bpf_probe_read_kernel(&header, sizeof(header), data) || header.type != AUDIT_AVC || length <= sizeof(header))
		return 0;
	read_current_call(&call);
	entry = call.number < 0 ? NULL : asked_now(&call);
	if (!entry)
		return 0;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_lost(WHY_LOST_EVENTS);
		return 0;
	}
	record->kind = WHY_RECORD;
	record->tgid = thread >> 32;
	record->tid = thread;
	if (!entry->records++)
		entry->recorded_ns = bpf_ktime_get_boot_ns();
	record->recorded_ns = entry->recorded_ns;
	record->length = copied = length - sizeof(header);
	if (copied > WHY_TEXT)
		copied = WHY_TEXT;
	/* As with the length of a filter. */
	asm volatile("" : "+r"(copied));
	if (bpf_probe_read_kernel(record->text, copied, data + sizeof(header)))
		record->length = 0;
	record->frames = bpf_get_stack(ctx, record->stack, sizeof(record->stack), 0);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* Rules of AppArmor that begin with `deny` leave no record. Attached to functions of AppArmor's that answer with an error if they refuse. */
SEC("kretprobe")
int why_apparmor(struct pt_regs *ctx)
{
	s32 answer = PT_REGS_RC(ctx);
	struct call call = {};
	struct asked *entry;

	if (answer >= 0 || !is_watched())
		return 0;
	read_current_call(&call);
	entry = call.number < 0 ? NULL : asked_now(&call);
	if (!entry)
		return 0;
	entry->hook = bpf_get_func_ip(ctx);
	entry->hook_answer = answer;
	return 0;
}
