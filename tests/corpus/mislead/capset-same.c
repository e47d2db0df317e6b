// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int same_sets(void)
{
	uint64_t effective, permitted, inheritable;
	must(get_capabilities(&effective, &permitted, &inheritable) == 0, "read the capability sets");
	return verdict("set the capability sets that it has", set_capabilities(effective, permitted, inheritable));
}

PROGRAM(same_sets, .also_asked = "CAP_SETPCAP", .asks = "cap_capset", .note = "what is kept is whatever is there: nothing is needed");
