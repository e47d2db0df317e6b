// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

// A file that its group may execute but its owner may not: CAP_DAC_OVERRIDE lets the owner, as some x bit is set.
static int execute_forbidden(void)
{
	char path[64];
	int fd = own_file();
	must(write(fd, "#!/nonexistent\n", 15) == 15, "write a script");
	must(fchmod(fd, 0610) == 0, "change the mode");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int again = open(path, O_PATH); // not open for writing, else ETXTBSY
	must(again >= 0, "open the script");
	close(fd);
	char *arguments[] = {"script", NULL};
	char *environment[] = {NULL};
	// With the permission, execve gets as far as the interpreter, which does not exist.
	return harmless_verdict("execute a file that only its group may execute",
				syscall(SYS_execveat, again, "", arguments, environment, AT_EMPTY_PATH), ENOENT);
}

PROGRAM(execute_forbidden, .capabilities = "CAP_DAC_OVERRIDE", .asks = "generic_permission",
	.note = "needs an execute bit for somebody, not for the caller");
