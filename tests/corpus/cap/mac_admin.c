// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/xattr.h>

// SELinux takes a label that its policy does not know only from CAP_MAC_ADMIN, and answers EINVAL otherwise.
static int set_unknown_label(void)
{
	char label[256] = "";
	int fd = own_file();
	if (fgetxattr(fd, "security.selinux", label, sizeof label - 1) < 0 || access("/sys/fs/selinux/enforce", F_OK) != 0) {
		char name[64] = "";
		int attribute = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
		if (attribute < 0 || read(attribute, name, sizeof name - 1) <= 0 || !strchr(name, ':'))
			return skip("SELinux is not active");
	}
	static const char unknown[] = "system_u:object_r:corpus_no_such_type_t:s0";
	int result = fsetxattr(fd, "security.selinux", unknown, sizeof unknown, 0);
	if (result < 0 && errno == EINVAL)
		errno = EPERM;
	return verdict("give a file a label that the policy does not know", result);
}

PROGRAM(set_unknown_label, .capabilities = "CAP_MAC_ADMIN", .asks = "selinux_inode_setxattr, has_cap_mac_admin", .initial = true, .guest_only = true,
	.needs = "SELinux;a domain that may relabel", .note = "as of package managers that build file systems for another policy");
