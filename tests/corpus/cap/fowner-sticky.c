// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int rename_other(void)
{
	close(other_object(OTHER "/sticky/file", O_PATH));
	int status = verdict("rename another user's file in a sticky directory",
			     rename(OTHER "/sticky/file", OTHER "/sticky/renamed"));
	if (status == SUCCEEDED)
		status = verdict("rename it back", rename(OTHER "/sticky/renamed", OTHER "/sticky/file"));
	return status;
}

PROGRAM(rename_other, .capabilities = "CAP_FOWNER", .asks = "__check_sticky", .needs = OTHER "/sticky/file",
	.note = "as in another user's file in /tmp");
