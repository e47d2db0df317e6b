/* SPDX-License-Identifier: Apache-2.0 */
/* What probe.c does with eBPF (bpf(2)), in the way of the hook. It includes this file. */

static long bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int bpf_acts(void)
{
	struct statfs state;
	if (statfs(BPF_FS, &state) < 0 || state.f_type != BPF_FS_MAGIC)
		report("bpf_mount", mount("bpf", BPF_FS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC,
					  "mode=0700") == 0);
	report("bpf_directory", mkdir(BPF_FS "/probe", 0700) == 0 || errno == EEXIST);

	union bpf_attr map = { .map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8,
			       .max_entries = 16 };
	int map_fd = bpf(BPF_MAP_CREATE, &map);
	report("bpf_map_create", map_fd >= 0);
	unsigned key = 1;
	unsigned long value = 2;
	union bpf_attr element = { .map_fd = map_fd, .key = (unsigned long)&key,
				   .value = (unsigned long)&value };
	report("bpf_map_update", bpf(BPF_MAP_UPDATE_ELEM, &element) == 0);

	struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT, .insn_cnt = 2,
				.insns = (unsigned long)program, .license = (unsigned long)"GPL" };
	int program_fd = bpf(BPF_PROG_LOAD, &load);
	report("bpf_prog_load", program_fd >= 0);
	union bpf_attr raw = { .raw_tracepoint = {
		.name = (unsigned long)"sched_process_exec", .prog_fd = program_fd } };
	int link_fd = bpf(BPF_RAW_TRACEPOINT_OPEN, &raw);
	report("bpf_attach_raw_tracepoint", link_fd >= 0);

	union bpf_attr pin = { .pathname = (unsigned long)BPF_FS "/probe/map", .bpf_fd = map_fd };
	report("bpf_pin", bpf(BPF_OBJ_PIN, &pin) == 0);
	union bpf_attr get = { .pathname = (unsigned long)BPF_FS "/probe/map" };
	int again = bpf(BPF_OBJ_GET, &get);
	report("bpf_get_pinned", again >= 0);
	report("bpf_unpin", unlink(BPF_FS "/probe/map") == 0);
	report("bpf_remove_directory", rmdir(BPF_FS "/probe") == 0);

	/* The other way to attach: a perf event of a tracepoint. */
	char text[64];
	int known = read_file("/sys/kernel/tracing/events/sched/sched_process_exec/id", text,
			      sizeof text) > 0 ||
		    read_file("/sys/kernel/debug/tracing/events/sched/sched_process_exec/id", text,
			      sizeof text) > 0;
	report("tracepoint_id", known);
	if (known) {
		load.prog_type = BPF_PROG_TYPE_TRACEPOINT;
		int traced = bpf(BPF_PROG_LOAD, &load);
		struct perf_event_attr event = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof event,
						 .config = strtoul(text, NULL, 10),
						 .sample_period = 1 };
		int event_fd = syscall(SYS_perf_event_open, &event, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
		report("perf_event_open", event_fd >= 0);
		report("bpf_attach_perf_event",
		       event_fd >= 0 && ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, traced) == 0 &&
			       ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0) == 0);
		close(event_fd);
		close(traced);
	}
	/* The first symbols are offsets within a processor's area: zero in any case. */
	static char symbols[1 << 16];
	int readable = read_file("/proc/kallsyms", symbols, sizeof symbols) > 0, shown = 0;
	for (char *at = symbols; readable && at && *at; at = strchr(at, '\n'), at = at ? at + 1 : at)
		shown |= strtoul(at, NULL, 16) != 0;
	errno = readable ? EACCES : errno;
	report("kallsyms", shown);
	report("btf", read_file("/sys/kernel/btf/vmlinux", symbols, sizeof symbols) > 0);
	close(link_fd);
	close(program_fd);
	close(again);
	close(map_fd);
	return 0;
}
