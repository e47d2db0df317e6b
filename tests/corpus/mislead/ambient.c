// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int raise_ambient(void)
{
	uint64_t effective, permitted, inheritable;
	must(get_capabilities(&effective, &permitted, &inheritable) == 0, "read the capability sets");
	int result = set_capabilities(effective, permitted, inheritable | BIT(CAP_NET_RAW));
	if (result == 0)
		result = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0);
	return verdict("raise an ambient capability", result);
}

PROGRAM(raise_ambient, .capabilities = "CAP_NET_RAW", .also_asked = "CAP_SETPCAP", .asks = "cap_capset, cap_task_prctl (compare the sets)",
	.ebpf_blind = true, .note = "as a service manager does for the services that it starts");
