// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/epoll.h>

static int block_suspend(void)
{
	char path[64], line[256];
	int ends[2], poll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN | EPOLLWAKEUP};
	unsigned events = 0;
	if (open("/sys/power/wakeup_count", O_PATH | O_CLOEXEC) < 0)
		return skip("the kernel cannot suspend (CONFIG_PM_SLEEP), so nothing is asked");
	must(poll >= 0 && pipe2(ends, O_CLOEXEC) == 0, "create epoll and pipe");
	must(epoll_ctl(poll, EPOLL_CTL_ADD, ends[0], &event) == 0, "add the pipe");
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", poll);
	FILE *info = fopen(path, "re");
	must(info, "read what epoll took");
	while (fgets(line, sizeof line, info))
		sscanf(line, "tfd: %*d events: %x", &events);
	fclose(info);
	return outcome("keep the machine from suspending", events & EPOLLWAKEUP);
}

PROGRAM(block_suspend, .capabilities = "CAP_BLOCK_SUSPEND", .asks = "ep_take_care_of_epollwakeup", .initial = true, .needs = "CONFIG_PM_SLEEP",
	.note = "without it the flag is left out without an error; without CONFIG_PM_SLEEP nothing is asked");
