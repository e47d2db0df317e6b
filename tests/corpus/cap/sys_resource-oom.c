// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int lower_oom_score(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	must(fd >= 0, "open /proc/self/oom_score_adj");
	return verdict("lower the score for the out-of-memory killer", write(fd, "-999", 4));
}

PROGRAM(lower_oom_score, .capabilities = "CAP_SYS_RESOURCE", .asks = "__set_oom_adj", .initial = true,
	.note = "below the lowest value that it had");
