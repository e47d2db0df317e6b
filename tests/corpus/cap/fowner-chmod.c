// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int change_mode(void)
{
	close(other_object(OTHER "/our-group", O_PATH));
	return verdict("change the mode of another user's file", chmod(OTHER "/our-group", 0644));
}

PROGRAM(change_mode, .capabilities = "CAP_FOWNER", .also_asked = "CAP_FSETID", .asks = "inode_owner_or_capable", .needs = OTHER "/our-group", .note = "to the mode that it has; CAP_FSETID is asked only of a process that is not in group 0: see mislead/chmod-other");
