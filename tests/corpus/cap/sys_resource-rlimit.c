// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int raise_limit(void)
{
	struct rlimit limit;
	must(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max > 64, "read a limit");
	limit.rlim_cur = limit.rlim_max = 64;
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "lower a limit");
	limit.rlim_max = 65;
	return verdict("raise a hard limit", setrlimit(RLIMIT_NOFILE, &limit));
}

PROGRAM(raise_limit, .capabilities = "CAP_SYS_RESOURCE", .asks = "do_prlimit", .initial = true, .note = "by one open file");
