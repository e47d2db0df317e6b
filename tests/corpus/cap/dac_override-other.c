// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int write_other(void)
{
	close(other_object(OTHER, O_PATH));
	return verdict("open another user's file for writing", open(OTHER "/file", O_WRONLY));
}

PROGRAM(write_other, .capabilities = "CAP_DAC_OVERRIDE", .asks = "generic_permission", .needs = OTHER "/file",
	.note = "another user's file of mode 0644, opened and not written to");
