// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int link_other(void)
{
	char text[4] = "";
	int fd = open("/proc/sys/fs/protected_hardlinks", O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "read fs.protected_hardlinks");
	if (atoi(text) == 0)
		return skip("fs.protected_hardlinks is 0: everybody may link");
	close(other_object(OTHER "/read-only", O_PATH));
	unlink(OTHER "/setgid/link");
	int status = verdict("link another user's file", link(OTHER "/read-only", OTHER "/setgid/link"));
	unlink(OTHER "/setgid/link");
	return status;
}

PROGRAM(link_other, .capabilities = "CAP_DAC_OVERRIDE", .alternatives = "CAP_DAC_OVERRIDE:CAP_FOWNER", .asks = "may_linkat, safe_hardlink_source",
	.needs = OTHER "/read-only;fs.protected_hardlinks=1", .note = "CAP_FOWNER, asked only where CAP_DAC_OVERRIDE is refused, is enough");
