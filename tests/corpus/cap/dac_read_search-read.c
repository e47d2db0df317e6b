// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int read_forbidden(void)
{
	char path[64];
	int fd = own_file();
	must(fchmod(fd, 0) == 0, "change the mode");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return verdict("open a file of mode 0000 for reading", open(path, O_RDONLY));
}

PROGRAM(read_forbidden, .capabilities = "CAP_DAC_READ_SEARCH", .alternatives = "CAP_DAC_READ_SEARCH:CAP_DAC_OVERRIDE",
	.asks = "generic_permission", .note = "CAP_DAC_READ_SEARCH is asked first, CAP_DAC_OVERRIDE only where it is refused");
