// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

// SELinux takes a label that its policy does not know only from CAP_MAC_ADMIN, and answers EINVAL otherwise.
static int set_unknown_label(void)
{
	static const char unknown[] = "system_u:object_r:corpus_no_such_type_t:s0";
	char label[256] = "";
	int current = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
	if (current < 0 || read(current, label, sizeof label - 1) <= 0 || !strchr(label, ':'))
		return skip("SELinux is not active");
	int fd = open("/proc/thread-self/attr/fscreate", O_RDWR | O_CLOEXEC);
	must(fd >= 0, "open /proc/thread-self/attr/fscreate");
	ssize_t result = write(fd, unknown, sizeof unknown);
	if (result < 0 && errno == EINVAL)
		errno = EPERM;
	return verdict("create files with a label that the policy does not know", result);
}

PROGRAM(set_unknown_label, .capabilities = "CAP_MAC_ADMIN", .asks = "selinux_lsm_setattr, has_cap_mac_admin", .initial = true,
	.needs = "SELinux;a domain with process { setfscreate }",
	.note = "as of tools that build file systems for another policy; for this process alone, which creates no file");
