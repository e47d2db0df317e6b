// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int noop(void)
{
	return SUCCEEDED;
}

PROGRAM(noop, .note = "does nothing: whatever is found was asked by the runtime or by execve");
