// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int map_child(void)
{
	char path[64], byte;
	int ready[2], end[2];
	if (geteuid() != 0)
		return skip("/proc/PID/uid_map of a child in its own user namespace belongs to root");
	must(pipe2(ready, O_CLOEXEC) == 0 && pipe2(end, O_CLOEXEC) == 0, "create pipes");
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		close(end[1]);
		byte = unshare(CLONE_NEWUSER) == 0 ? 'r' : 'x';
		if (write(ready[1], &byte, 1) != 1 || read(end[0], &byte, 1) != 0)
			_exit(BROKEN);
		_exit(SUCCEEDED);
	}
	must(read(ready[0], &byte, 1) == 1, "wait for the child");
	if (byte != 'r') {
		close(end[1]);
		child_status(pid);
		return skip("the machine lets nobody create user namespaces without privilege");
	}
	snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0, "open the child's uid_map");
	int status = verdict("map many ids into a child's user namespace", write(fd, "0 0 1000", 8));
	close(end[1]);
	must(child_status(pid) == SUCCEEDED, "end the child");
	return status;
}

PROGRAM(map_child, .capabilities = "CAP_SETUID CAP_SETFCAP", .also_asked = "CAP_SYS_ADMIN", .asks = "new_idmap_permitted; verify_root_map; map_write",
	.needs = "unprivileged user namespaces;root", .note = "what newuidmap and container runtimes do; CAP_SYS_ADMIN is held in the child's namespace by its creator");
