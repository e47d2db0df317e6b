// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int open_sysctl(void)
{
	if (geteuid() == 0)
		return skip("root owns the sysctls of its network namespace and needs no capability");
	// Without O_TRUNC the permission is checked before the mount, which is read-only in most containers.
	int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
	return fd >= 0 ? SUCCEEDED : harmless_verdict("open a network sysctl for writing", fd, EROFS);
}

PROGRAM(open_sysctl, .capabilities = "CAP_NET_ADMIN", .asks = "net_ctl_permissions", .selinux_blind = true,
	.needs = "a user other than root", .note = "asked without an audit record, yet enforced; nothing is written");
