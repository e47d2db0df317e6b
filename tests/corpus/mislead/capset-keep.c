// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int keep_unused(void)
{
	// What a daemon does that was told to keep CAP_SYS_TIME and then never uses it.
	return verdict("keep CAP_SYS_TIME", set_capabilities(BIT(CAP_SYS_TIME), BIT(CAP_SYS_TIME), 0));
}

PROGRAM(keep_unused, .capabilities = "CAP_SYS_TIME", .also_asked = "CAP_SETPCAP", .asks = "cap_capset (compares the sets, asks CAP_SETPCAP alone)",
	.ebpf_blind = true, .note = "capset of an explicit set fails where the capability is not held, though it is never used: compatibility");
