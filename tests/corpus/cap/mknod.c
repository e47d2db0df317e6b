// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/sysmacros.h>

static int make_node(void)
{
	char directory[] = "/tmp/mknod-XXXXXX";
	must(mkdtemp(directory), "create a directory");
	must(chdir(directory) == 0, "enter the directory");
	int status = verdict("create a device node", mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	unlink("null");
	rmdir(directory);
	return status;
}

PROGRAM(make_node, .capabilities = "CAP_MKNOD", .asks = "vfs_mknod", .initial = true,
	.needs = "device cgroup that lets c 1:3 be created", .note = "never granted in a user namespace");
