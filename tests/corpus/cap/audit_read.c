// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/audit.h>
#include <linux/netlink.h>

static int read_records(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1 << (AUDIT_NLGRP_READLOG - 1)};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (fd < 0)
		return skip("the kernel has no audit");
	return verdict("listen to audit records", bind(fd, (struct sockaddr *)&address, sizeof address));
}

PROGRAM(read_records, .capabilities = "CAP_AUDIT_READ", .asks = "audit_multicast_bind", .initial = true, .needs = "CONFIG_AUDIT",
	.note = "the multicast group; nothing is read");
