// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/netlink.h>

static int listen_all(void)
{
	int on = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	must(fd >= 0, "create a netlink socket");
	return verdict("listen to netlink messages of all network namespaces",
		       setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on));
}

PROGRAM(listen_all, .capabilities = "CAP_NET_BROADCAST", .asks = "netlink_setsockopt",
	.note = "the one place in the kernel that asks for this capability");
