// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int search_forbidden(void)
{
	char directory[] = "/tmp/search-XXXXXX";
	struct stat status_of;
	must(mkdtemp(directory), "create a directory");
	int fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && mkdirat(fd, "entry", 0700) == 0, "create an entry");
	must(fchmod(fd, 0600) == 0, "take the search permission away");
	int status = verdict("look up an entry in a directory of mode 0600", fstatat(fd, "entry", &status_of, 0));
	fchmod(fd, 0700);
	unlinkat(fd, "entry", AT_REMOVEDIR);
	rmdir(directory);
	return status;
}

PROGRAM(search_forbidden, .capabilities = "CAP_DAC_READ_SEARCH", .alternatives = "CAP_DAC_READ_SEARCH:CAP_DAC_OVERRIDE",
	.asks = "generic_permission", .note = "path walk through a directory without search permission");
