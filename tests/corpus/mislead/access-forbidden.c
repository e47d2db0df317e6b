// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int ask_forbidden(void)
{
	char path[64];
	int fd = own_file();
	must(fchmod(fd, 0) == 0, "change the mode");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	printf("writable: %s\n", access(path, W_OK) == 0 ? "yes" : "no");
	return SUCCEEDED;
}

PROGRAM(ask_forbidden, .also_asked = "CAP_DAC_OVERRIDE", .asks = "generic_permission",
	.note = "access(2) uses nothing: whether the answer matters is the program's affair");
