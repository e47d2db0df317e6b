// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int change_mode_of_group(void)
{
	close(other_object(OTHER "/file", O_PATH));
	return verdict("change the mode of another user's file", chmod(OTHER "/file", 0644));
}

PROGRAM(change_mode_of_group, .capabilities = "CAP_FOWNER", .also_asked = "CAP_FSETID", .asks = "inode_owner_or_capable; setattr_prepare",
	.needs = OTHER "/file", .note = "as the file's group is not the process's, CAP_FSETID is asked even where no set-gid bit is involved");
