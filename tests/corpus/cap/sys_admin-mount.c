// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/mount.h>

static int mount_tmpfs(void)
{
	char directory[] = "/tmp/mount-XXXXXX";
	must(mkdtemp(directory), "create a directory");
	int status = verdict("mount a tmpfs", mount("corpus", directory, "tmpfs", 0, NULL));
	if (status == SUCCEEDED)
		status = verdict("unmount it", umount2(directory, MNT_DETACH));
	rmdir(directory);
	return status;
}

PROGRAM(mount_tmpfs, .capabilities = "CAP_SYS_ADMIN", .asks = "may_mount, mount_capable",
	.note = "the silent overcommit probe of CAP_SYS_ADMIN comes before: a record must not be lost to it");
