// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int open_noatime(void)
{
	close(other_object(OTHER "/file", O_PATH));
	return verdict("open another user's file without marking it as read", open(OTHER "/file", O_RDONLY | O_NOATIME));
}

PROGRAM(open_noatime, .capabilities = "CAP_FOWNER", .asks = "may_open, inode_owner_or_capable", .needs = OTHER "/file",
	.note = "backup programs do, and fall back");
