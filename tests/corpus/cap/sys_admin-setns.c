// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int enter_uts(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "open the UTS namespace");
	return verdict("enter a UTS namespace", setns(fd, CLONE_NEWUTS));
}

PROGRAM(enter_uts, .capabilities = "CAP_SYS_ADMIN", .asks = "utsns_install", .note = "its own");
