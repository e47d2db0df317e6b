// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <netinet/in.h>

static int set_options(void)
{
	unsigned char hop_by_hop[8] = {0, 0, 1, 4}, unknown[4] = {0x9e, 4};
	int size = 1 << 20, ipv6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), ipv4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ipv6 < 0)
		return skip("no IPv6");
	must(ipv4 >= 0, "create a UDP socket");
	int status = verdict("force the size of a socket's buffer", setsockopt(ipv4, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size));
	if (status != SUCCEEDED)
		return status;
	status = verdict("set IPv6 hop-by-hop options", setsockopt(ipv6, IPPROTO_IPV6, IPV6_HOPOPTS, hop_by_hop, sizeof hop_by_hop));
	if (status != SUCCEEDED)
		return status;
	int result = setsockopt(ipv4, IPPROTO_IP, IP_OPTIONS, unknown, sizeof unknown);
	if (result < 0 && errno == EINVAL) // what the kernel says to who may not
		errno = EPERM;
	return verdict("set an IP option that the kernel does not know", result);
}

PROGRAM(set_options, .capabilities = "CAP_NET_ADMIN CAP_NET_RAW", .asks = "do_ipv6_setsockopt; __ip_options_compile; sk_setsockopt", .initial = true,
	.note = "CAP_NET_ADMIN, which does for marks and transparent proxies, does not for header options");
