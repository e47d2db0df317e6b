// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int drop_all(void)
{
	return verdict("drop every capability", set_capabilities(0, 0, 0));
}

PROGRAM(drop_all, .also_asked = "CAP_SETPCAP", .asks = "cap_capset", .note = "CAP_SETPCAP is asked by every capset and only matters for the inheritable set");
