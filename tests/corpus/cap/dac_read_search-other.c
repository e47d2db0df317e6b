// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int read_other(void)
{
	close(other_object(OTHER, O_PATH));
	return verdict("open another user's secret for reading", open(OTHER "/secret", O_RDONLY));
}

PROGRAM(read_other, .capabilities = "CAP_DAC_READ_SEARCH", .alternatives = "CAP_DAC_READ_SEARCH:CAP_DAC_OVERRIDE",
	.asks = "generic_permission", .needs = OTHER "/secret", .note = "another user's file of mode 0600");
