// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int enter_namespace(void)
{
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "open the mount namespace");
	return verdict("enter a mount namespace", setns(fd, CLONE_NEWNS));
}

PROGRAM(enter_namespace, .capabilities = "CAP_SYS_CHROOT CAP_SYS_ADMIN", .asks = "mntns_install", .note = "its own");
