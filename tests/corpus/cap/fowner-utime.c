// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int set_times(void)
{
	struct stat file;
	close(other_object(OTHER "/file", O_PATH));
	must(stat(OTHER "/file", &file) == 0, "stat the file");
	struct timespec times[] = {file.st_atim, file.st_mtim};
	return verdict("set the times of another user's file", utimensat(AT_FDCWD, OTHER "/file", times, 0));
}

PROGRAM(set_times, .capabilities = "CAP_FOWNER", .asks = "setattr_prepare, inode_owner_or_capable", .needs = OTHER "/file",
	.note = "to the times that it has");
