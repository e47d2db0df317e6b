// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int give_away(void)
{
	return verdict("give a file away", fchown(own_file(), OTHER_ID, (gid_t)-1));
}

PROGRAM(give_away, .capabilities = "CAP_CHOWN", .asks = "chown_ok", .note = "own file to another user");
