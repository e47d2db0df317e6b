// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int enter_nested(void)
{
	int release;
	pid_t pid = hold_other("--hold-nested", &release);
	if (pid < 0)
		return skip("no set-uid bit, or no user namespaces without privilege");
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status = verdict("open another user's user namespace", fd);
	if (status == SUCCEEDED)
		status = verdict("enter another user's user namespace", setns(fd, CLONE_NEWUSER));
	close(release);
	must(child_status(pid) == 0, "end the other process");
	return status;
}

PROGRAM(enter_nested, .capabilities = "CAP_SYS_PTRACE CAP_SYS_ADMIN", .asks = "ptrace_has_cap; userns_install", .selinux_blind = true,
	.needs = OTHER "/hold;no_new_privs off;unprivileged user namespaces",
	.note = "asked of a user namespace of another user: what the process holds in its own decides");
