// SPDX-License-Identifier: Apache-2.0
//
// System calls for which the kernel checks no capability, or ignores the answer. docker's default seccomp filter demands one, or a sysctl that the
// engine sets decides.
//   filtered ACT     0: it was made; 1: refused; 77: the kernel does not have it
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/mempolicy.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/quota.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char page[4096] __attribute__((aligned(4096)));

static long call_set_mempolicy(void)
{
	unsigned long nodes = 1;

	return syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &nodes, 8 * sizeof nodes);
}

static long call_mbind(void)
{
	return syscall(SYS_mbind, page, sizeof page, MPOL_DEFAULT, NULL, 0, 0);
}

static long call_get_mempolicy(void)
{
	int mode;

	return syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0);
}

static long call_set_mempolicy_home_node(void)
{
	return syscall(450 /* SYS_set_mempolicy_home_node */, page, sizeof page, 0, 0);
}

static long call_kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0);
}

static long call_pidfd_getfd(void)
{
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return syscall(SYS_pidfd_getfd, self, self, 0);
}

static long call_process_madvise(void)
{
	struct iovec range = {.iov_base = page, .iov_len = sizeof page};
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return syscall(SYS_process_madvise, self, &range, 1, MADV_WILLNEED, 0);
}

static long call_open_tree(void)
{
	return syscall(SYS_open_tree, AT_FDCWD, "/", 0);
}

static long quota(void)
{
	return syscall(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL);
}

static long unshare_files(void)
{
	return unshare(CLONE_FILES);
}

static long user_namespace(void)
{
	if (unshare(CLONE_NEWUSER))
		return -1;
	// A program that is executed there is seen to live there.
	execl("/proc/self/exe", "filtered", "nothing", (char *)NULL);
	return -1;
}

static long clone_user_namespace(void)
{
	long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (child == 0) {
		execl("/proc/self/exe", "filtered", "nothing", (char *)NULL);
		_exit(2);
	}
	return child < 0 ? child : waitpid((pid_t)child, NULL, 0);
}

static long unprivileged_fanotify(void)
{
	return fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC, O_RDONLY);
}

static long perf_of_itself(void)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1, .exclude_hv = 1};

	return syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

static long ping_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}

static long nothing(void)
{
	return 0;
}

static const struct {
	const char *name;
	long (*function)(void);
} acts[] = {
	{"set_mempolicy", call_set_mempolicy},
	{"mbind", call_mbind},
	{"get_mempolicy", call_get_mempolicy},
	{"set_mempolicy_home_node", call_set_mempolicy_home_node},
	{"kcmp", call_kcmp},
	{"pidfd_getfd", call_pidfd_getfd},
	{"process_madvise", call_process_madvise},
	{"open_tree", call_open_tree},
	{"quotactl", quota},
	{"unshare", unshare_files},
	{"user-namespace", user_namespace},
	{"clone-user-namespace", clone_user_namespace},
	{"fanotify_init", unprivileged_fanotify},
	{"perf_event_open", perf_of_itself},
	{"ping-socket", ping_socket},
	{"nothing", nothing},
};

int main(int count, char **arguments)
{
	for (size_t i = 0; count == 2 && i < sizeof acts / sizeof *acts; i++) {
		if (strcmp(arguments[1], acts[i].name))
			continue;
		if (acts[i].function() >= 0)
			return 0;
		int error = errno;
		fprintf(stderr, "%s: %s\n", arguments[1], strerror(error));
		// docker's filter answers EPERM, and the sysctl for ping sockets EACCES. Another error comes from the kernel's own check.
		return error == EPERM || error == EACCES ? 1 : error == ENOSYS ? 77 : 0;
	}
	fprintf(stderr, "usage: filtered ACT\n");
	return 64;
}
