// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int look_at_nested(void)
{
	int release;
	pid_t pid = hold_other("--hold-nested", &release);
	if (pid < 0)
		return skip("no set-uid bit, or no user namespaces without privilege");
	char path[64], target[256];
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	int status = verdict("see the executable of a process in another user's user namespace", readlink(path, target, sizeof target));
	close(release);
	must(child_status(pid) == 0, "end the other process");
	return status;
}

PROGRAM(look_at_nested, .capabilities = "CAP_SYS_PTRACE", .asks = "ptrace_has_cap, cap_ptrace_access_check", .selinux_blind = true,
	.needs = OTHER "/hold;no_new_privs off;unprivileged user namespaces",
	.note = "asked of a user namespace of another user: what the process holds in its own decides");
