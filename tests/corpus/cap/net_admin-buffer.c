// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int force_buffer(void)
{
	int size = 65536, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0, "create a UDP socket");
	return verdict("force the size of the receive buffer", setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size));
}

PROGRAM(force_buffer, .capabilities = "CAP_NET_ADMIN", .asks = "sk_setsockopt, sockopt_capable", .initial = true,
	.note = "beyond net.core.rmem_max; programs usually fall back to SO_RCVBUF");
