// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int execute_set_uid(void)
{
	close(other_object(OTHER "/set-uid-root", O_PATH));
	execl(OTHER "/set-uid-root", "corpus", "chown", (char *)NULL);
	return verdict("execute a set-uid program", -1);
}

PROGRAM(execute_set_uid, .capabilities = "CAP_CHOWN", .asks = "chown_ok", .needs = OTHER "/set-uid-root;no_new_privs off for a user other than root",
	.note = "takes its permitted set from the bounding set: for another user the bounding set alone is enough");
