// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/perf_event.h>

static int count_kernel_events(void)
{
	char text[16] = "";
	int fd = open("/proc/sys/kernel/perf_event_paranoid", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return skip("the kernel has no performance events");
	must(read(fd, text, sizeof text - 1) > 0, "read kernel.perf_event_paranoid");
	if (atoi(text) < 2)
		return skip("kernel.perf_event_paranoid is below 2");
	if (atoi(text) > 2)
		return skip("kernel.perf_event_paranoid is above 2, where Debian's kernel asks for CAP_SYS_ADMIN alone");
	// An event that exists would make the kernel patch its scheduler's code, which an emulated machine with two processors
	// may not survive.
	struct perf_event_attr event = {.type = 0x7ffffffe, .size = sizeof event, .disabled = 1};
	return harmless_verdict("count kernel events", syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC), ENOENT);
}

PROGRAM(count_kernel_events, .capabilities = "CAP_PERFMON", .alternatives = "CAP_PERFMON:CAP_SYS_ADMIN", .asks = "perf_allow_kernel", .initial = true,
	.needs = "kernel.perf_event_paranoid=2;under SELinux: perf_event { open kernel }", .note = "of a kind that does not exist: the capability is asked before the kind is looked up");
