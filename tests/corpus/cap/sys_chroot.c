// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int change_root(void)
{
	return verdict("change the root directory", chroot("/"));
}

PROGRAM(change_root, .capabilities = "CAP_SYS_CHROOT", .asks = "ksys_chroot", .note = "to the same root");
