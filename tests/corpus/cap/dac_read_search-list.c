// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int list_forbidden(void)
{
	char directory[] = "/tmp/list-XXXXXX";
	must(mkdtemp(directory), "create a directory");
	must(chmod(directory, 0) == 0, "change the mode");
	int status = verdict("open a directory of mode 0000", open(directory, O_RDONLY | O_DIRECTORY));
	rmdir(directory);
	return status;
}

PROGRAM(list_forbidden, .capabilities = "CAP_DAC_READ_SEARCH", .alternatives = "CAP_DAC_READ_SEARCH:CAP_DAC_OVERRIDE",
	.asks = "generic_permission", .note = "listing a directory without read permission");
