// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int execute_second(void)
{
	execute_again("chown");
	return BROKEN;
}

PROGRAM(execute_second, .capabilities = "CAP_CHOWN", .asks = "chown_ok", .note = "the first program needs nothing, the one that it becomes does");
