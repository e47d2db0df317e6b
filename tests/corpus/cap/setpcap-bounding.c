// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int drop_bounding(void)
{
	return verdict("drop a capability from the bounding set", prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0));
}

PROGRAM(drop_bounding, .capabilities = "CAP_SETPCAP", .asks = "cap_prctl_drop", .note = "asked even where the capability is not in the set");
