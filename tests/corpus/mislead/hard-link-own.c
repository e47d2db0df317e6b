// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int link_own(void)
{
	char directory[] = "/tmp/link-XXXXXX";
	must(mkdtemp(directory), "create a directory");
	must(chdir(directory) == 0, "enter the directory");
	int fd = open("a", O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
	must(fd >= 0, "create a read-only file");
	int status = verdict("link an own read-only file", link("a", "b"));
	unlink("a");
	unlink("b");
	rmdir(directory);
	return status;
}

PROGRAM(link_own, .also_asked = "CAP_DAC_OVERRIDE", .asks = "may_linkat, safe_hardlink_source", .needs = "fs.protected_hardlinks=1, else nothing is asked",
	.note = "as git does: write access is tried first, ownership decides after");
