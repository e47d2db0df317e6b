// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

// Signals a process whose user ids are all somebody else's.
static int signal_other(void)
{
	int release;
	pid_t pid = hold_other("--hold", &release);
	if (pid < 0)
		return skip("the set-uid bit of " OTHER "/hold has no effect: no_new_privs, or mounted nosuid");
	int status = verdict("signal another user's process", kill(pid, 0));
	close(release); // ends it: it may be out of reach for a signal
	must(child_status(pid) == 0, "end the other process");
	return status;
}

PROGRAM(signal_other, .capabilities = "CAP_KILL", .asks = "kill_ok_by_cred, check_kill_permission", .needs = OTHER "/hold;no_new_privs off",
	.note = "signal 0 to a process of another user");
