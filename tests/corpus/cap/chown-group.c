// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int give_to_group(void)
{
	return verdict("give a file to another group", fchown(own_file(), (uid_t)-1, OTHER_ID));
}

PROGRAM(give_to_group, .capabilities = "CAP_CHOWN", .asks = "chgrp_ok", .note = "own file to a group that the process is not in");
