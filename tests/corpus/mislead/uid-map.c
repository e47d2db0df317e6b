// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int write_all(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0, path);
	int result = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	int error = errno;
	close(fd);
	errno = error;
	return result;
}

static int map_root(void)
{
	if (geteuid() != 0)
		return skip("an id other than 0 is mapped without a capability");
	if (unshare(CLONE_NEWUSER) != 0)
		return skip("the machine lets nobody create user namespaces without privilege");
	return verdict("map root into a user namespace", write_all("/proc/self/uid_map", "0 0 1"));
}

PROGRAM(map_root, .capabilities = "CAP_SETFCAP", .also_asked = "CAP_SYS_ADMIN", .asks = "verify_root_map (looks at the bit that create_user_ns kept)",
	.ebpf_blind = true, .needs = "unprivileged user namespaces;root", .note = "unshare -U -r as root: no question for CAP_SETFCAP is ever asked");
