// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int set_mark(void)
{
	int mark = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0, "create a UDP socket");
	return verdict("set the mark of a socket", setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark));
}

PROGRAM(set_mark, .capabilities = "CAP_NET_RAW", .alternatives = "CAP_NET_RAW:CAP_NET_ADMIN", .asks = "sk_setsockopt, sockopt_ns_capable",
	.note = "CAP_NET_RAW is asked first (Linux 5.17), CAP_NET_ADMIN where it is refused");
