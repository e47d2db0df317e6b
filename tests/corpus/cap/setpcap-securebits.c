// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/securebits.h>

static int set_securebits(void)
{
	return verdict("set the secure bits", prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0));
}

PROGRAM(set_securebits, .capabilities = "CAP_SETPCAP", .asks = "cap_task_prctl", .selinux_blind = true,
	.note = "cap_task_prctl calls cap_capable itself: the other security modules are not asked");
