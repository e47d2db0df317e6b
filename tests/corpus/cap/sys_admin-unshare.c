// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int new_namespace(void)
{
	return verdict("create a mount namespace", unshare(CLONE_NEWNS));
}

PROGRAM(new_namespace, .capabilities = "CAP_SYS_ADMIN", .asks = "unshare_nsproxy_namespaces", .note = "mount namespace of its own");
