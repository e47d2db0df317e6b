// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <netinet/in.h>
#include <sys/un.h>

static int sockets(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int size = 4096, on = 1, pair[2];
	int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(server >= 0 && client >= 0, "create UDP sockets");
	must(setsockopt(server, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0, "set the buffer size");
	must(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, "reuse the address");
	must(bind(server, (struct sockaddr *)&address, sizeof address) == 0, "bind to any port");
	must(getsockname(server, (struct sockaddr *)&address, &length) == 0, "ask for the port");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "create a socket pair");
	must(write(pair[0], "x", 1) == 1, "send");
	must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0, "create a netlink socket");
	return SUCCEEDED;
}

PROGRAM(sockets, .note = "sockets and options that are everybody's");
