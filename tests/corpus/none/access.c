// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int ask_access(void)
{
	must(access("/tmp", R_OK | W_OK | X_OK) == 0, "access /tmp");
	must(access("/proc/self/status", R_OK) == 0, "access /proc/self/status");
	must(access("/tmp/no-such-file", F_OK) != 0, "miss a file");
	must(faccessat(AT_FDCWD, "/tmp", W_OK, AT_EACCESS) == 0, "access with the effective ids");
	return SUCCEEDED;
}

PROGRAM(ask_access, .note = "access(2) where the mode bits suffice; older kernels exchange the credentials for it");
