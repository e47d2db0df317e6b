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
	struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_CPU_CLOCK, .disabled = 1};
	return verdict("count kernel events", syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

PROGRAM(count_kernel_events, .capabilities = "CAP_PERFMON", .alternatives = "CAP_PERFMON:CAP_SYS_ADMIN", .asks = "perf_allow_kernel", .initial = true,
	.needs = "kernel.perf_event_paranoid of 2 or more;under SELinux: perf_event { open kernel }", .note = "a software clock of its own that is never started");
