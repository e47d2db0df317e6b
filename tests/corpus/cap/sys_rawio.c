// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

static int map_block(void)
{
	int block = -1;
	return harmless_verdict("ask for the disk block of a file", ioctl(own_file(), FIBMAP, &block), EINVAL);
}

PROGRAM(map_block, .capabilities = "CAP_SYS_RAWIO", .asks = "ioctl_fibmap", .initial = true, .note = "an impossible block of own file");
