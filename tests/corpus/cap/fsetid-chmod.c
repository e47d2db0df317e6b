// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int keep_setgid(void)
{
	struct stat file;
	close(other_object(OTHER "/setgid", O_PATH));
	int fd = open(OTHER "/setgid", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700); // takes the directory's group
	must(fd >= 0, "open an unnamed file in " OTHER "/setgid");
	must(fchmod(fd, 02710) == 0, "change the mode");
	must(fstat(fd, &file) == 0, "stat");
	return outcome("set the set-gid bit for a group that the process is not in", file.st_mode & S_ISGID);
}

PROGRAM(keep_setgid, .capabilities = "CAP_FSETID", .asks = "setattr_prepare", .needs = OTHER "/setgid",
	.note = "without it chmod succeeds and leaves the bit out");
