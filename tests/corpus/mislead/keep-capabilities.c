// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <netinet/in.h>

static int switch_user(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(81), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t kept = BIT(CAP_NET_BIND_SERVICE);
	must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0, "keep the permitted set");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0, "create a TCP socket");
	if (setresuid(OTHER_ID, OTHER_ID, OTHER_ID) != 0)
		return verdict("set the user ids", -1);
	if (set_capabilities(kept, kept, 0) != 0)
		return verdict("keep CAP_NET_BIND_SERVICE", -1);
	return verdict("bind to port 81", bind(fd, (struct sockaddr *)&address, sizeof address));
}

PROGRAM(switch_user, .capabilities = "CAP_SETUID CAP_NET_BIND_SERVICE", .also_asked = "CAP_SETPCAP", .asks = "__sys_setresuid; __inet_bind",
	.needs = "net.ipv4.ip_unprivileged_port_start above 81 in the container's network namespace",
	.note = "as dnsmasq, named and chronyd: the user changes and one capability stays; only root loses its effective set on the way, and with it the question for CAP_SETPCAP");
