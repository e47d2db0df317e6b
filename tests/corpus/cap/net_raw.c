// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <netinet/in.h>

static int raw(void)
{
	return verdict("create a raw socket", socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

PROGRAM(raw, .capabilities = "CAP_NET_RAW", .asks = "inet_create", .note = "raw IPv4 socket, as of ping and traceroute");
