// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int create_in_forbidden(void)
{
	char directory[] = "/tmp/create-XXXXXX";
	must(mkdtemp(directory), "create a directory");
	int fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && fchmod(fd, 0555) == 0, "make the directory read-only");
	int status = verdict("create an entry in a directory of mode 0555", mkdirat(fd, "entry", 0700));
	fchmod(fd, 0700);
	unlinkat(fd, "entry", AT_REMOVEDIR);
	rmdir(directory);
	return status;
}

PROGRAM(create_in_forbidden, .capabilities = "CAP_DAC_OVERRIDE", .asks = "generic_permission",
	.note = "writing to a directory is never granted by CAP_DAC_READ_SEARCH");
