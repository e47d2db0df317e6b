// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int own_ids(void)
{
	must(setgid(getgid()) == 0, "set the own group id");
	must(setuid(getuid()) == 0, "set the own user id");
	must(setresuid(getuid(), geteuid(), (uid_t)-1) == 0, "set the own user ids");
	must(seteuid(getuid()) == 0 && setegid(getgid()) == 0, "set the own effective ids");
	return SUCCEEDED;
}

PROGRAM(own_ids, .also_asked = "CAP_SETGID CAP_SETUID", .asks = "__sys_setgid, __sys_setuid",
	.note = "setuid and setgid ask before they compare: the ids that the process has already need nothing");
