// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int use(void)
{
	return verdict("give a file away", fchown(own_file(), OTHER_ID, (gid_t)-1));
}

static int nothing(void)
{
	return SUCCEEDED;
}

static int one_of_many(void)
{
	int status = SUCCEEDED;
	for (int i = 0; i < 100; i++) {
		int one = in_child(i == 50 ? use : nothing);
		if (one != SUCCEEDED)
			status = one;
	}
	return status;
}

PROGRAM(one_of_many, .capabilities = "CAP_CHOWN", .asks = "chown_ok", .note = "used in one of a hundred children, each of which ends at once");
