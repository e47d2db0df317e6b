// SPDX-License-Identifier: Apache-2.0

// The cases of prove.c that use sockets; prove.c includes this file.

static int raw_ipv6(void) { drop(); return outcome(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)); }
static int xdp_socket(void) { drop(); return outcome(socket(AF_XDP, SOCK_RAW, 0)); }
static int key_socket(void) { drop(); return outcome(socket(AF_KEY, SOCK_RAW, 2)); }

static int low_port_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	drop();
	return fd < 0 ? ABSENT : outcome(bind(fd, (struct sockaddr *)&address, sizeof address));
}

static int option(int family, int type, int level, int name, const void *value, socklen_t length)
{
	int fd = socket(family, type, 0);
	drop();
	return fd < 0 ? ABSENT : outcome(setsockopt(fd, level, name, value, length));
}

static const int one = 1, seven = 7, large = 1 << 20;
static int socket_priority(void) { return option(AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_PRIORITY, &seven, sizeof seven); }
static int socket_debug(void) { return option(AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_DEBUG, &one, sizeof one); }
static int socket_send_buffer(void) { return option(AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large); }
static int socket_busy_poll(void) { return option(AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof one); }
static int ip_policy(void) { return option(AF_INET, SOCK_DGRAM, IPPROTO_IP, 17, "", 0); }
static int ipv6_policy(void) { return option(AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, 35, &one, sizeof one); }
static int ipv6_transparent(void) { return option(AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, 75, &one, sizeof one); }

static int socket_time(void)
{
	struct sock_txtime value = {.clockid = CLOCK_TAI};
	return option(AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_TXTIME, &value, sizeof value);
}

static int source_route(void)
{
	static const uint8_t route[8] = {131, 7, 4, 127, 0, 0, 1, 0};
	return option(AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_OPTIONS, route, sizeof route);
}

static int anycast(void)
{
	struct ipv6_mreq value = {.ipv6mr_interface = 99};
	return option(AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, 27, &value, sizeof value);
}

static int routing_group(void)
{
	static const int group = RTNLGRP_IPV4_MROUTE_R;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	drop();
	return outcome(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group));
}

static int bind_again(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) != 0)
		return ABSENT;
	drop();
	return outcome(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
}

static int control(int family, unsigned long request, void *argument)
{
	int fd = socket(family, SOCK_DGRAM, 0);
	drop();
	return fd < 0 ? ABSENT : outcome(ioctl(fd, request, argument));
}

static int rename_interface(void) { return control(AF_INET, SIOCSIFNAME, &(struct ifreq){.ifr_name = "none0", .ifr_newname = "none1"}); }
static int queue_length(void) { return control(AF_INET, SIOCSIFTXQLEN, &(struct ifreq){.ifr_name = "lo", .ifr_qlen = 1000}); }
static int interface_mtu(void) { return control(AF_INET, SIOCSIFMTU, &(struct ifreq){.ifr_name = "lo", .ifr_mtu = 1500}); }
static int forget_address(void) { return control(AF_INET, SIOCDARP, &(struct arpreq){.arp_pa.sa_family = AF_INET}); }
static int add_route(void) { return control(AF_INET, SIOCADDRT, &(struct rtentry){.rt_dst.sa_family = AF_INET}); }
static int add_route_ipv6(void) { return control(AF_INET6, SIOCADDRT, &(struct in6_rtmsg){.rtmsg_ifindex = 99}); }
static int add_address_ipv6(void) { return control(AF_INET6, SIOCSIFADDR, &(struct in6_ifreq){.ifr6_ifindex = 99}); }
static int delete_address_ipv6(void) { return control(AF_INET6, SIOCDIFADDR, &(struct in6_ifreq){.ifr6_ifindex = 99}); }
static int socket_namespace(void) { return control(AF_INET, SIOCGSKNS, NULL); }
// SIOCUNIXFILE, which has no name in some headers.
static int socket_file(void) { return control(AF_UNIX, SIOCPROTOPRIVATE, NULL); }

static int send_control(int family, int level, int type, const void *value, size_t length, struct sockaddr *to, socklen_t to_length)
{
	int pair[2] = {-1, -1};
	if (family == AF_UNIX ? socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0 : (pair[0] = socket(family, SOCK_DGRAM, 0)) < 0)
		return ABSENT;
	_Alignas(struct cmsghdr) char buffer[CMSG_SPACE(64)] = {0};
	struct iovec part = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {.msg_name = to, .msg_namelen = to_length, .msg_iov = &part, .msg_iovlen = 1, .msg_control = buffer,
				 .msg_controllen = CMSG_SPACE(length)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	*header = (struct cmsghdr){.cmsg_len = CMSG_LEN(length), .cmsg_level = level, .cmsg_type = type};
	memcpy(CMSG_DATA(header), value, length);
	drop();
	return outcome(sendmsg(pair[0], &message, 0));
}

static int send_as(struct ucred who) { return send_control(AF_UNIX, SOL_SOCKET, SCM_CREDENTIALS, &who, sizeof who, NULL, 0); }
static int send_as_process(void) { return send_as((struct ucred){1, 0, 0}); }
static int send_as_user(void) { return send_as((struct ucred){getpid(), OTHER, 0}); }
static int send_as_group(void) { return send_as((struct ucred){getpid(), 0, OTHER}); }

static int send_marked(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return send_control(AF_INET, SOL_SOCKET, SO_MARK, &one, sizeof one, (struct sockaddr *)&to, sizeof to);
}

static int send_header(void)
{
	static const uint8_t header[8] = {0, 0, 1, 4};
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	return send_control(AF_INET6, IPPROTO_IPV6, 54, header, sizeof header, (struct sockaddr *)&to, sizeof to);
}
