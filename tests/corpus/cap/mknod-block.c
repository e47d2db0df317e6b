// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/sysmacros.h>

static int make_block_node(void)
{
	char directory[] = "/tmp/mknod-XXXXXX";
	must(mkdtemp(directory), "create a directory");
	must(chdir(directory) == 0, "enter the directory");
	int status = verdict("create a block device node", mknod("loop", S_IFBLK | 0600, makedev(7, 0)));
	unlink("loop");
	rmdir(directory);
	return status;
}

PROGRAM(make_block_node, .capabilities = "CAP_MKNOD", .asks = "vfs_mknod", .initial = true,
	.needs = "device cgroup that lets b 7:0 be created", .note = "never opened");
