// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int take_lease(void)
{
	return verdict("take a lease on another user's file", fcntl(other_object(OTHER "/file", O_RDONLY), F_SETLEASE, F_RDLCK));
}

PROGRAM(take_lease, .capabilities = "CAP_LEASE", .asks = "vfs_setlease, generic_setlease", .initial = true, .needs = OTHER "/file",
	.note = "own files need nothing; as of file servers");
