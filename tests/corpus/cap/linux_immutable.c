// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

static int set_append_only(void)
{
	int flags, fd = own_file();
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
		return skip("the file system of /tmp has no inode flags (tmpfs: Linux 6.0)");
	flags |= FS_APPEND_FL;
	return verdict("make a file append-only", ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

PROGRAM(set_append_only, .capabilities = "CAP_LINUX_IMMUTABLE", .asks = "fileattr_set_prepare", .initial = true,
	.note = "own file that vanishes when it is closed");
