// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <netinet/in.h>

static int set_transparent(void)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0, "create a TCP socket");
	return verdict("make a socket a transparent proxy's", setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on));
}

PROGRAM(set_transparent, .capabilities = "CAP_NET_RAW", .alternatives = "CAP_NET_RAW:CAP_NET_ADMIN", .asks = "do_ip_setsockopt, sockopt_ns_capable",
	.note = "as of squid and haproxy with TPROXY");
