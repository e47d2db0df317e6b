// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int change_mode(void)
{
	close(other_object(OTHER "/our-group", O_PATH));
	return verdict("change the mode of another user's file", chmod(OTHER "/our-group", 0644));
}

PROGRAM(change_mode, .capabilities = "CAP_FOWNER", .asks = "inode_owner_or_capable", .needs = OTHER "/our-group", .note = "to the mode that it has; a file of another group asks CAP_FSETID too: see mislead/chmod-other");
