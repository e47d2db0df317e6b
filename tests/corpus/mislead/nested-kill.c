// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int signal_nested(void)
{
	int release;
	pid_t pid = hold_other("--hold-nested", &release);
	if (pid < 0)
		return skip("no set-uid bit, or no user namespaces without privilege");
	int status = verdict("signal a process in another user's user namespace", kill(pid, 0));
	close(release);
	must(child_status(pid) == 0, "end the other process");
	return status;
}

PROGRAM(signal_nested, .capabilities = "CAP_KILL", .asks = "check_kill_permission", .selinux_blind = true,
	.needs = OTHER "/hold;no_new_privs off;unprivileged user namespaces",
	.note = "asked of a user namespace of another user: what the process holds in its own decides");
