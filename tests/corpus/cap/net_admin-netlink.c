// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/rtnetlink.h>
#include <net/if.h>

static int change_link(void)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.link = {.ifi_family = AF_UNSPEC, .ifi_index = 1, .ifi_change = 0},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[1024];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	must(fd >= 0, "create a netlink socket");
	must(send(fd, &request, sizeof request, 0) == sizeof request, "send the request");
	must(recv(fd, &answer, sizeof answer, 0) >= (ssize_t)(sizeof answer.header + sizeof answer.error.error), "receive the answer");
	errno = -answer.error.error;
	return verdict("change a link through netlink", answer.error.error == 0 ? 0 : -1);
}

PROGRAM(change_link, .capabilities = "CAP_NET_ADMIN", .asks = "rtnetlink_rcv_msg, netlink_net_capable",
	.note = "a change of nothing, as `ip link set` would send it");
