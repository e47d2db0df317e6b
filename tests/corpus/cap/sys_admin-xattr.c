// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/xattr.h>

static int set_trusted(void)
{
	int result = fsetxattr(own_file(), "trusted.corpus", "x", 1, 0);
	if (result < 0 && errno == EOPNOTSUPP)
		return skip("the file system of /tmp has no trusted attributes");
	return verdict("set a trusted attribute", result);
}

PROGRAM(set_trusted, .capabilities = "CAP_SYS_ADMIN", .asks = "xattr_permission", .initial = true, .note = "own file that vanishes");
