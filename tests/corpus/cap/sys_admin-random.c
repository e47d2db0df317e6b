// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/random.h>
#include <sys/ioctl.h>

static int credit_entropy(void)
{
	int bits = -1, fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "open /dev/urandom");
	return harmless_verdict("credit entropy", ioctl(fd, RNDADDTOENTCNT, &bits), EINVAL);
}

PROGRAM(credit_entropy, .capabilities = "CAP_SYS_ADMIN", .asks = "random_ioctl", .initial = true, .note = "a negative amount, as of rngd and haveged");
