// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <netinet/in.h>

static int bind_80(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0, "create a TCP socket");
	return verdict("bind to port 80", bind(fd, (struct sockaddr *)&address, sizeof address));
}

PROGRAM(bind_80, .capabilities = "CAP_NET_BIND_SERVICE", .asks = "inet_port_requires_bind_service, __inet_bind",
	.needs = "net.ipv4.ip_unprivileged_port_start above 80 in the container's network namespace",
	.note = "Docker sets ip_unprivileged_port_start=0, where nothing is asked");
