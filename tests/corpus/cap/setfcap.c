// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/xattr.h>

static int set_file_capability(void)
{
	struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2, .data[0].permitted = 1u << CAP_CHOWN};
	return verdict("give a file a capability", fsetxattr(own_file(), "security.capability", &data, sizeof data, 0));
}

PROGRAM(set_file_capability, .capabilities = "CAP_SETFCAP", .asks = "cap_convert_nscap", .note = "as package managers do; own file that vanishes");
