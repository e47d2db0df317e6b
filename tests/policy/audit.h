/* SPDX-License-Identifier: Apache-2.0 */
/* What probe.c asks the kernel by audit netlink (linux/audit.h). It includes this file. */

struct request {
	struct nlmsghdr header;
	char payload[2048];
};

static int audit_socket(void)
{
	int socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (socket_ < 0)
		return -1;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	if (bind(socket_, (struct sockaddr *)&address, sizeof address) < 0) {
		close(socket_);
		return -1;
	}
	return socket_;
}

static int audit_send(int socket_, int type, const void *payload, size_t length)
{
	struct request request = { .header = {
		.nlmsg_len = NLMSG_LENGTH(length),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
	} };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	if (length)
		memcpy(NLMSG_DATA(&request.header), payload, length);
	if (sendto(socket_, &request, request.header.nlmsg_len, 0, (struct sockaddr *)&kernel,
		   sizeof kernel) < 0)
		return -1;
	return 0;
}

/* Waits for the acknowledgement and, if wanted, the message of that type. */
static int audit_answer(int socket_, int wanted, void *payload, size_t length)
{
	char buffer[16384];
	int acknowledged = 0, found = !wanted;
	struct pollfd ready = { .fd = socket_, .events = POLLIN };
	while ((!acknowledged || !found) && poll(&ready, 1, 5000) > 0) {
		ssize_t size = recv(socket_, buffer, sizeof buffer, 0);
		if (size < 0)
			return -1;
		struct nlmsghdr *header = (struct nlmsghdr *)buffer;
		if (header->nlmsg_type == NLMSG_ERROR) {
			struct nlmsgerr *error = NLMSG_DATA(header);
			if (error->error) {
				errno = -error->error;
				return -1;
			}
			acknowledged = 1;
		} else if (header->nlmsg_type == wanted) {
			memcpy(payload, NLMSG_DATA(header), length);
			found = 1;
		}
	}
	if (!acknowledged || !found) {
		errno = ETIMEDOUT;
		return -1;
	}
	return 0;
}

static int audit_state(struct audit_status *status)
{
	int socket_ = audit_socket();
	if (socket_ < 0)
		return -1;
	int result = audit_send(socket_, AUDIT_GET, NULL, 0);
	if (!result)
		result = audit_answer(socket_, AUDIT_GET, status, sizeof *status);
	close(socket_);
	return result;
}

/* To the end of the list. */
static int audit_rules(void)
{
	int socket_ = audit_socket();
	if (socket_ < 0)
		return -1;
	int result = audit_send(socket_, AUDIT_LIST_RULES, NULL, 0);
	if (!result)
		result = audit_answer(socket_, NLMSG_DONE, NULL, 0);
	close(socket_);
	return result;
}

static int audit_fence(const char *text)
{
	int socket_ = audit_socket();
	if (socket_ < 0)
		return -1;
	int result = audit_send(socket_, AUDIT_USER_AVC, text, strlen(text) + 1);
	if (!result)
		result = audit_answer(socket_, 0, NULL, 0);
	close(socket_);
	return result;
}

static int audit_join(void)
{
	int socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (socket_ < 0)
		return -1;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int group = AUDIT_NLGRP_READLOG, size = 64 << 20;
	if (bind(socket_, (struct sockaddr *)&address, sizeof address) < 0 ||
	    setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0 ||
	    setsockopt(socket_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
		close(socket_);
		return -1;
	}
	return socket_;
}

static int hear(int listener, const char *text)
{
	char buffer[16384];
	struct pollfd ready = { .fd = listener, .events = POLLIN };
	while (poll(&ready, 1, 5000) > 0) {
		ssize_t size = recv(listener, buffer, sizeof buffer - 1, 0);
		if (size < 0)
			return -1;
		buffer[size] = 0;
		if (memmem(buffer, size, text, strlen(text)))
			return 0;
	}
	errno = ETIMEDOUT;
	return -1;
}
