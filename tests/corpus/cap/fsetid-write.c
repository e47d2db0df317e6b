// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int keep_setuid(void)
{
	struct stat file;
	int fd = own_file();
	must(fchmod(fd, 04700) == 0, "set the set-uid bit");
	must(write(fd, "x", 1) == 1, "write");
	must(fstat(fd, &file) == 0, "stat");
	return outcome("keep the set-uid bit while writing", file.st_mode & S_ISUID);
}

PROGRAM(keep_setuid, .capabilities = "CAP_FSETID", .asks = "setattr_should_drop_suidgid", .initial = true,
	.note = "without it the write succeeds and the bit is gone");
