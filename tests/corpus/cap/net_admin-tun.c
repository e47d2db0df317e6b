// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

static int create_tun(void)
{
	struct ifreq request = {.ifr_name = "corpus%d", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return skip("no /dev/net/tun in the container");
	return verdict("create a tun interface", ioctl(fd, TUNSETIFF, &request));
}

PROGRAM(create_tun, .capabilities = "CAP_NET_ADMIN", .asks = "tun_set_iff", .needs = "device /dev/net/tun",
	.note = "gone when the descriptor is closed");
