// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int use_often(void)
{
	int status = SUCCEEDED, fd = own_file();
	for (int i = 0; i < 100000 && status == SUCCEEDED; i++)
		status = verdict("give a file away", fchown(fd, OTHER_ID, OTHER_ID + i % 2));
	return status;
}

PROGRAM(use_often, .capabilities = "CAP_CHOWN", .asks = "chown_ok, chgrp_ok", .note = "a hundred thousand uses: the record of them stays bounded");
