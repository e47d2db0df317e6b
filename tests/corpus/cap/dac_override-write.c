// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int write_forbidden(void)
{
	char path[64];
	int fd = own_file();
	must(fchmod(fd, 0) == 0, "change the mode");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return verdict("open a file of mode 0000 for writing", open(path, O_WRONLY));
}

PROGRAM(write_forbidden, .capabilities = "CAP_DAC_OVERRIDE", .asks = "generic_permission", .note = "own file without any permission bit");
