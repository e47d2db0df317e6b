// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/if_ether.h>

static int packet_socket(void)
{
	return verdict("create a packet socket", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

PROGRAM(packet_socket, .capabilities = "CAP_NET_RAW", .asks = "packet_create", .note = "as of tcpdump and DHCP clients; protocol 0 receives nothing");
