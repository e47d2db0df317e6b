// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/audit.h>
#include <linux/netlink.h>

static int write_record(void)
{
	static const char text[] = "op=corpus";
	struct {
		struct nlmsghdr header;
		char text[sizeof text];
	} request = {.header = {.nlmsg_len = sizeof request, .nlmsg_type = AUDIT_USER, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[1024];
	} answer;
	memcpy(request.text, text, sizeof text);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (fd < 0)
		return skip("the kernel has no audit");
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	if (sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) {
		// A user namespace gets this answer whatever is held.
		if (errno == ECONNREFUSED)
			errno = EPERM;
		return verdict("send an audit record", -1);
	}
	must(recv(fd, &answer, sizeof answer, 0) >= (ssize_t)(sizeof answer.header + sizeof answer.error.error), "receive the answer");
	errno = answer.error.error == -ECONNREFUSED ? EPERM : -answer.error.error;
	return verdict("send an audit record", answer.error.error == 0 ? 0 : -1);
}

PROGRAM(write_record, .capabilities = "CAP_AUDIT_WRITE", .asks = "audit_netlink_ok", .initial = true, .needs = "CONFIG_AUDIT",
	.note = "a record of type USER with the text op=corpus, as of login and sshd");
