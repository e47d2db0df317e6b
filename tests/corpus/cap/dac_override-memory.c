// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

// Opens the memory of another user's process for reading and writing, as gdb does after it has attached.
static int open_memory(void)
{
	int release;
	pid_t pid = hold_other("--hold", &release);
	if (pid < 0)
		return skip("the set-uid bit of " OTHER "/hold has no effect: no_new_privs, or mounted nosuid");
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int status = verdict("open the memory of another user's process", open(path, O_RDWR | O_CLOEXEC));
	close(release);
	must(child_status(pid) == 0, "end the other process");
	return status;
}

PROGRAM(open_memory, .capabilities = "CAP_DAC_OVERRIDE CAP_SYS_PTRACE", .asks = "generic_permission; ptrace_has_cap",
	.needs = OTHER "/hold;no_new_privs off",
	.note = "the file belongs to the process's user (mode 600): gdb attaches without CAP_DAC_OVERRIDE, and reads no memory");
