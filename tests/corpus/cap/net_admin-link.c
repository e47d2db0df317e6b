// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <net/if.h>
#include <sys/ioctl.h>

static int set_link_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0, "create a UDP socket");
	must(ioctl(fd, SIOCGIFFLAGS, &request) == 0, "read the flags of lo");
	return verdict("set the flags of lo", ioctl(fd, SIOCSIFFLAGS, &request));
}

PROGRAM(set_link_up, .capabilities = "CAP_NET_ADMIN", .asks = "devinet_ioctl", .note = "to the flags that it has");
