// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/xattr.h>

static int remove_file_capability(void)
{
	return harmless_verdict("take a capability from a file that has none", fremovexattr(own_file(), "security.capability"), ENODATA);
}

PROGRAM(remove_file_capability, .capabilities = "CAP_SETFCAP", .asks = "cap_inode_removexattr", .note = "the capability is asked before the attribute is looked for");
