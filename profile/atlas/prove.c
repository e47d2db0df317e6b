// SPDX-License-Identifier: Apache-2.0
//
// Proves places of the atlas on the running kernel: each case makes one system call with every capability, then without the one that the place
// asks for (and without those that it accepts as well), and holds the two results against each other. Each run is a process of its own in
// namespaces of its own. Started as root; prints a line for each case, and the sums.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/ipv6.h>
#include <linux/ipv6_route.h>
#include <linux/keyctl.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/route.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define OTHER 12345
#define BIT(capability) (1ULL << (capability))

// What a case returns besides an errno: success, or that the kernel showed something that it hides from others.
enum { DONE = 0, SHOWN = 1000, HIDDEN = 1001, ABSENT = 1002 };

struct place {
	const char *function;
	uint64_t without;
	int (*act)(void);
	int refused;
};

static int outcome(long result)
{
	return result < 0 ? errno : DONE;
}

// Takes capabilities out of all sets. What a case has prepared before stays prepared: see `drop`.
static void lose(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) != 0)
		_exit(120);
	for (int i = 0; i < 2; i++) {
		uint32_t mask = ~(uint32_t)(capabilities >> (32 * i));
		data[i].effective &= mask;
		data[i].permitted &= mask;
		data[i].inheritable &= mask;
	}
	if (syscall(SYS_capset, &header, data) != 0)
		_exit(121);
}

static uint64_t to_lose;

// Called by a case when all is prepared with every capability.
static void drop(void)
{
	lose(to_lose);
}

// A process of another user, which ends with this one.
static pid_t other_process(void)
{
	int ready[2];
	char byte = 0;
	if (pipe(ready) != 0)
		_exit(122);
	pid_t pid = fork();
	if (pid == 0) {
		if (setresgid(OTHER, OTHER, OTHER) || setresuid(OTHER, OTHER, OTHER) || write(ready[1], &byte, 1) != 1)
			_exit(123);
		pause();
		_exit(0);
	}
	if (read(ready[0], &byte, 1) != 1)
		_exit(124);
	return pid;
}

static int ended(pid_t pid, int result)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return result;
}

// A file of another user on a tmpfs of this process's own mount namespace.
static int other_file(void)
{
	if (mount("atlas", "/tmp", "tmpfs", 0, NULL) != 0)
		_exit(125);
	int fd = open("/tmp/other", O_RDWR | O_CREAT, 0644);
	if (fd < 0 || fchown(fd, OTHER, OTHER) != 0)
		_exit(126);
	return fd;
}

static int own_file(void)
{
	int fd = other_file();
	return fchown(fd, 0, 0) == 0 ? fd : -1;
}

static int domain_name(void) { drop(); return outcome(setdomainname("atlas", 5)); }
static int swap_off(void) { drop(); return outcome(swapoff("/nonexistent")); }
static int set_regid(void) { drop(); return outcome(syscall(SYS_setregid, OTHER, -1)); }
static int set_reuid(void) { drop(); return outcome(syscall(SYS_setreuid, OTHER, -1)); }
static int set_resgid(void) { drop(); return outcome(syscall(SYS_setresgid, OTHER, -1, -1)); }

static int set_fsgid(void)
{
	drop();
	setfsgid(OTHER);
	return setfsgid(-1) == OTHER ? SHOWN : HIDDEN;
}

static int enter(const char *path)
{
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return ABSENT;
	drop();
	return outcome(setns(fd, 0));
}

static int enter_ipc(void) { return enter("/proc/self/ns/ipc"); }
static int enter_net(void) { return enter("/proc/self/ns/net"); }
static int enter_cgroup(void) { return enter("/proc/self/ns/cgroup"); }
static int enter_pid(void) { return enter("/proc/self/ns/pid"); }
static int enter_time(void) { return enter("/proc/self/ns/time"); }

static int bpf(int command, union bpf_attr *attributes)
{
	drop();
	return outcome(syscall(SYS_bpf, command, attributes, sizeof *attributes));
}

static int bpf_program_by_id(void) { return bpf(BPF_PROG_GET_FD_BY_ID, &(union bpf_attr){.prog_id = 0x7fffffff}); }
static int bpf_map_by_id(void) { return bpf(BPF_MAP_GET_FD_BY_ID, &(union bpf_attr){.map_id = 0x7fffffff}); }
static int bpf_types_by_id(void) { return bpf(BPF_BTF_GET_FD_BY_ID, &(union bpf_attr){.btf_id = 0x7fffffff}); }
static int bpf_link_by_id(void) { return bpf(BPF_LINK_GET_FD_BY_ID, &(union bpf_attr){.link_id = 0x7fffffff}); }
static int bpf_task_query(void) { return bpf(BPF_TASK_FD_QUERY, &(union bpf_attr){.task_fd_query.pid = 0x7fffffff}); }
static int bpf_statistics(void) { return bpf(BPF_ENABLE_STATS, &(union bpf_attr){.enable_stats.type = 99}); }
static int bpf_query(void) { return bpf(BPF_PROG_QUERY, &(union bpf_attr){.query.attach_type = 9999}); }
static int bpf_load_types(void) { return bpf(BPF_BTF_LOAD, &(union bpf_attr){.btf_size = 1}); }

static int bpf_zero_seed(void)
{
	return bpf(BPF_MAP_CREATE, &(union bpf_attr){.map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 1,
						      .map_flags = BPF_F_ZERO_SEED});
}

static int perf(struct perf_event_attr attributes, pid_t pid, int cpu)
{
	attributes.size = sizeof attributes;
	attributes.type = PERF_TYPE_SOFTWARE;
	attributes.config = PERF_COUNT_SW_DUMMY;
	attributes.exclude_kernel = 1;
	drop();
	return outcome(syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, 0));
}

static int perf_namespaces(void) { return perf((struct perf_event_attr){.namespaces = 1}, 0, -1); }
static int perf_processor(void) { return perf((struct perf_event_attr){0}, -1, 0); }

static int suspend_seccomp(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	drop();
	return ended(pid, outcome(ptrace(PTRACE_SEIZE, pid, NULL, (void *)(uintptr_t)PTRACE_O_SUSPEND_SECCOMP)));
}

static int other_priority(void)
{
	pid_t pid = other_process();
	drop();
	return ended(pid, outcome(setpriority(PRIO_PROCESS, pid, 5)));
}

static int other_processors(void)
{
	pid_t pid = other_process();
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	drop();
	return ended(pid, outcome(sched_setaffinity(pid, sizeof set, &set)));
}

static int other_io_priority(void)
{
	pid_t pid = other_process();
	drop();
	return ended(pid, outcome(syscall(SYS_ioprio_set, 1, pid, (2 << 13) | 4)));
}

static int other_advice(void)
{
	pid_t pid = other_process();
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct iovec part = {.iov_base = (void *)0x10000, .iov_len = 4096};
	drop();
	return ended(pid, outcome(syscall(SYS_process_madvise, pidfd, &part, 1, MADV_COLD, 0)));
}

static int timer_slack(void)
{
	pid_t pid = other_process();
	char path[64], text[32];
	snprintf(path, sizeof path, "/proc/%d/timerslack_ns", pid);
	drop();
	int fd = open(path, O_RDONLY);
	return ended(pid, fd < 0 ? errno : outcome(read(fd, text, sizeof text)));
}

static int little_memory(void)
{
	return setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){4096, 4096});
}

static int lock_much(void)
{
	void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	little_memory();
	drop();
	return outcome(mlock(memory, 1 << 20));
}

static int lock_all(void) { little_memory(); drop(); return outcome(mlockall(MCL_CURRENT)); }

static int lock_segment(void)
{
	int id = shmget(IPC_PRIVATE, 1 << 20, IPC_CREAT | 0600);
	if (id < 0)
		return ABSENT;
	little_memory();
	drop();
	return outcome(shmctl(id, SHM_LOCK, NULL));
}

static int other_segment(void)
{
	int ids[2], id = -1;
	if (pipe(ids) != 0)
		return ABSENT;
	pid_t pid = fork();
	if (pid == 0) {
		if (setresuid(OTHER, OTHER, OTHER) != 0)
			_exit(1);
		id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666);
		_exit(write(ids[1], &id, sizeof id) != sizeof id);
	}
	waitpid(pid, NULL, 0);
	if (read(ids[0], &id, sizeof id) != sizeof id || id < 0)
		return ABSENT;
	drop();
	return outcome(shmctl(id, IPC_RMID, NULL));
}

#include "prove_network.h"

static int without_a_trace(void) { int fd = other_file(); drop(); return outcome(fcntl(fd, F_SETFL, O_NOATIME)); }
static int freeze(void) { int fd = own_file(); drop(); return outcome(ioctl(fd, FIFREEZE, 0)); }
static int thaw(void) { int fd = own_file(); drop(); return outcome(ioctl(fd, FITHAW, 0)); }
static int security_attribute(void) { int fd = own_file(); drop(); return outcome(fsetxattr(fd, "security.atlas", "x", 1, 0)); }
static int no_security_attribute(void) { int fd = own_file(); drop(); return outcome(fremovexattr(fd, "security.atlas")); }

static int other_flags(void)
{
	int fd = other_file();
	long flags = FS_NODUMP_FL;
	drop();
	return outcome(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static int other_list(void)
{
	static const uint8_t list[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255};
	int fd = other_file();
	drop();
	return outcome(fsetxattr(fd, "system.posix_acl_access", list, sizeof list, 0));
}

static int trusted_list(void)
{
	int fd = own_file();
	char names[256];
	if (fsetxattr(fd, "trusted.atlas", "x", 1, 0) != 0)
		return ABSENT;
	drop();
	ssize_t length = flistxattr(fd, names, sizeof names);
	return length > 0 && memmem(names, (size_t)length, "trusted.atlas", 14) != NULL ? SHOWN : HIDDEN;
}

static int kernel_faults(void) { drop(); return outcome(syscall(SYS_userfaultfd, 0)); }

// Whether the first address that a file shows is one.
static int address_in(const char *path)
{
	char text[64] = {0};
	drop();
	int fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return ABSENT;
	for (const char *letter = text; *letter && *letter != ' '; letter++)
		if (strchr("123456789abcdef", *letter) != NULL)
			return SHOWN;
	return HIDDEN;
}

static int symbol_addresses(void) { return address_in("/proc/kallsyms"); }

static int memory_map(void)
{
	char text[4096];
	drop();
	int fd = open("/proc/iomem", O_RDONLY);
	ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (length <= 0)
		return ABSENT;
	text[length] = 0;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		unsigned long long start, end;
		if (sscanf(line, " %llx-%llx", &start, &end) == 2 && end != 0)
			return SHOWN;
	}
	return HIDDEN;
}

static int page_frame(void)
{
	static volatile char page[4096] = {1};
	uint64_t entry = 0;
	page[0] = 2;
	drop();
	int fd = open("/proc/self/pagemap", O_RDONLY);
	if (pread(fd, &entry, sizeof entry, (off_t)((uintptr_t)page / 4096 * sizeof entry)) != sizeof entry)
		return ABSENT;
	return (entry & ((1ULL << 55) - 1)) != 0 ? SHOWN : HIDDEN;
}

static int kernel_stack(void)
{
	char text[256];
	drop();
	int fd = open("/proc/self/stack", O_RDONLY);
	return fd < 0 ? (errno == ENOENT ? ABSENT : errno) : outcome(read(fd, text, sizeof text));
}

// A terminal that is not this process's own.
static int terminal(void)
{
	int controller = posix_openpt(O_RDWR | O_NOCTTY);
	if (controller < 0 || grantpt(controller) != 0 || unlockpt(controller) != 0)
		return -1;
	return open(ptsname(controller), O_RDWR | O_NOCTTY);
}

static int type_into(void)
{
	int fd = terminal();
	drop();
	return fd < 0 ? ABSENT : outcome(ioctl(fd, TIOCSTI, "x"));
}

static int hang_up(void)
{
	int fd = terminal();
	drop();
	return fd < 0 ? ABSENT : outcome(ioctl(fd, TIOCVHANGUP));
}

static int lock_terminal(void)
{
	int fd = terminal();
	char termios[128] = {0};
	drop();
	return fd < 0 ? ABSENT : outcome(ioctl(fd, TIOCSLCKTRMIOS, termios));
}

static int open_exclusive(void)
{
	int fd = terminal();
	if (fd < 0 || ioctl(fd, TIOCEXCL) != 0)
		return ABSENT;
	drop();
	return outcome(open(ttyname(fd), O_RDWR | O_NOCTTY));
}

static int give_key(void)
{
	long key = syscall(SYS_add_key, "user", "atlas", "x", 1, KEY_SPEC_PROCESS_KEYRING);
	if (key < 0)
		return ABSENT;
	drop();
	return outcome(syscall(SYS_keyctl, KEYCTL_CHOWN, key, OTHER, -1));
}

static int persistent_keys(void)
{
	drop();
	int result = outcome(syscall(SYS_keyctl, KEYCTL_GET_PERSISTENT, OTHER, KEY_SPEC_PROCESS_KEYRING));
	return result == EOPNOTSUPP || result == ENOSYS ? ABSENT : result;
}

#define ADMIN BIT(CAP_SYS_ADMIN)
#define NET BIT(CAP_NET_ADMIN)
#define RAW BIT(CAP_NET_RAW)

static const struct place places[] = {
	{"sys_setdomainname", ADMIN, domain_name, EPERM},
	{"sys_swapoff", ADMIN, swap_off, EPERM},
	{"__sys_setregid", BIT(CAP_SETGID), set_regid, EPERM},
	{"__sys_setreuid", BIT(CAP_SETUID), set_reuid, EPERM},
	{"__sys_setresgid", BIT(CAP_SETGID), set_resgid, EPERM},
	{"__sys_setfsgid", BIT(CAP_SETGID), set_fsgid, HIDDEN},
	{"ipcns_install", ADMIN, enter_ipc, EPERM},
	{"netns_install", ADMIN, enter_net, EPERM},
	{"cgroupns_install", ADMIN, enter_cgroup, EPERM},
	{"pidns_install", ADMIN, enter_pid, EPERM},
	{"timens_install", ADMIN, enter_time, EPERM},
	{"bpf_prog_get_fd_by_id", ADMIN, bpf_program_by_id, EPERM},
	{"bpf_map_get_fd_by_id", ADMIN, bpf_map_by_id, EPERM},
	{"bpf_btf_get_fd_by_id", ADMIN, bpf_types_by_id, EPERM},
	{"bpf_link_get_fd_by_id", ADMIN, bpf_link_by_id, EPERM},
	{"bpf_task_fd_query", ADMIN, bpf_task_query, EPERM},
	{"bpf_enable_stats", ADMIN, bpf_statistics, EPERM},
	{"bpf_prog_query", ADMIN | NET, bpf_query, EPERM},
	{"bpf_btf_load", ADMIN | BIT(CAP_BPF), bpf_load_types, EPERM},
	{"htab_map_alloc_check", ADMIN, bpf_zero_seed, EPERM},
	{"sys_perf_event_open", ADMIN | BIT(CAP_PERFMON), perf_namespaces, EACCES},
	{"perf_allow_cpu", ADMIN | BIT(CAP_PERFMON), perf_processor, EACCES},
	{"check_ptrace_options", ADMIN, suspend_seccomp, EPERM},
	{"set_one_prio_perm", BIT(CAP_SYS_NICE), other_priority, EPERM},
	{"sched_setaffinity", BIT(CAP_SYS_NICE), other_processors, EPERM},
	{"set_task_ioprio", BIT(CAP_SYS_NICE), other_io_priority, EPERM},
	{"sys_process_madvise", BIT(CAP_SYS_NICE), other_advice, EPERM},
	{"timerslack_ns_show", BIT(CAP_SYS_NICE), timer_slack, EPERM},
	{"do_mlock", BIT(CAP_IPC_LOCK), lock_much, ENOMEM},
	{"sys_mlockall", BIT(CAP_IPC_LOCK), lock_all, ENOMEM},
	{"user_shm_lock", BIT(CAP_IPC_LOCK), lock_segment, ENOMEM},
	{"ipcctl_obtain_check", ADMIN, other_segment, EPERM},
	{"inet6_create", RAW, raw_ipv6, EPERM},
	{"xsk_create", RAW, xdp_socket, EPERM},
	{"pfkey_create", NET, key_socket, EPERM},
	{"__inet6_bind", BIT(CAP_NET_BIND_SERVICE), low_port_ipv6, EACCES},
	{"sk_set_prio_allowed", NET | RAW, socket_priority, EPERM},
	{"sk_setsockopt SO_DEBUG", NET, socket_debug, EACCES},
	{"sk_setsockopt SO_SNDBUFFORCE", NET, socket_send_buffer, EPERM},
	{"sk_setsockopt SO_PREFER_BUSY_POLL", NET, socket_busy_poll, EPERM},
	{"sk_setsockopt SO_TXTIME", NET, socket_time, EPERM},
	{"do_ip_setsockopt IP_XFRM_POLICY", NET, ip_policy, EPERM},
	{"do_ipv6_setsockopt IPV6_XFRM_POLICY", NET, ipv6_policy, EPERM},
	{"do_ipv6_setsockopt IPV6_TRANSPARENT", NET | RAW, ipv6_transparent, EPERM},
	{"ip_options_get", RAW, source_route, EPERM},
	{"ipv6_sock_ac_join", NET, anycast, EPERM},
	{"rtnetlink_bind", NET, routing_group, EPERM},
	{"sock_bindtoindex_locked", RAW, bind_again, EPERM},
	{"dev_ioctl SIOCSIFNAME", NET, rename_interface, EPERM},
	{"dev_ioctl SIOCSIFTXQLEN", NET, queue_length, EPERM},
	{"dev_ioctl SIOCSIFMTU", NET, interface_mtu, EPERM},
	{"arp_ioctl", NET, forget_address, EPERM},
	{"ip_rt_ioctl", NET, add_route, EPERM},
	{"ipv6_route_ioctl", NET, add_route_ipv6, EPERM},
	{"addrconf_add_ifaddr", NET, add_address_ipv6, EPERM},
	{"addrconf_del_ifaddr", NET, delete_address_ipv6, EPERM},
	{"sock_ioctl", NET, socket_namespace, EPERM},
	{"unix_open_file", NET, socket_file, EPERM},
	{"scm_check_creds SYS_ADMIN", ADMIN, send_as_process, EPERM},
	{"scm_check_creds SETUID", BIT(CAP_SETUID), send_as_user, EPERM},
	{"scm_check_creds SETGID", BIT(CAP_SETGID), send_as_group, EPERM},
	{"__sock_cmsg_send", NET | RAW, send_marked, EPERM},
	{"ip6_datagram_send_ctl", RAW, send_header, EPERM},
	{"setfl", BIT(CAP_FOWNER), without_a_trace, EPERM},
	{"ioctl_fsfreeze", ADMIN, freeze, EPERM},
	{"ioctl_fsthaw", ADMIN, thaw, EPERM},
	{"cap_inode_setxattr", ADMIN, security_attribute, EPERM},
	{"cap_inode_removexattr SYS_ADMIN", ADMIN, no_security_attribute, EPERM},
	{"vfs_fileattr_set", BIT(CAP_FOWNER), other_flags, EPERM},
	{"set_posix_acl", BIT(CAP_FOWNER), other_list, EPERM},
	{"simple_xattr_list", ADMIN, trusted_list, HIDDEN},
	{"userfaultfd_syscall_allowed", BIT(CAP_SYS_PTRACE), kernel_faults, EPERM},
	{"kallsyms_show_value", BIT(CAP_SYSLOG), symbol_addresses, HIDDEN},
	{"r_show", ADMIN, memory_map, HIDDEN},
	{"pagemap_read", ADMIN, page_frame, HIDDEN},
	{"proc_pid_stack", ADMIN, kernel_stack, EACCES},
	{"tiocsti", ADMIN, type_into, EPERM},
	{"tty_ioctl", ADMIN, hang_up, EPERM},
	{"tty_mode_ioctl", ADMIN | BIT(CAP_CHECKPOINT_RESTORE), lock_terminal, EPERM},
	{"tty_reopen", ADMIN, open_exclusive, EBUSY},
	{"keyctl_chown_key", ADMIN, give_key, EACCES},
	{"keyctl_get_persistent", BIT(CAP_SETUID), persistent_keys, EPERM},
};

// Runs a case in a process and namespaces of its own. Returns its outcome.
static int run(const struct place *place, uint64_t capabilities)
{
	int result[2], value = ABSENT;
	if (pipe(result) != 0)
		exit(1);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGHUP, SIG_IGN);
		if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			_exit(127);
		to_lose = capabilities;
		value = place->act();
		_exit(write(result[1], &value, sizeof value) != sizeof value);
	}
	close(result[1]);
	if (read(result[0], &value, sizeof value) != sizeof value)
		value = -1;
	close(result[0]);
	waitpid(pid, NULL, 0);
	return value;
}

static const char *name(int value)
{
	return value == DONE ? "done" : value == SHOWN ? "shown" : value == HIDDEN ? "hidden" : value < 0 ? "ended early" : strerrorname_np(value);
}

int main(void)
{
	int passed = 0, failed = 0, skipped = 0;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const struct place *place = &places[i];
		int with = run(place, 0), without = run(place, place->without);
		if (with == ABSENT || with == ENOSYS || with == EAFNOSUPPORT || with == EPROTONOSUPPORT || with == ENOPROTOOPT) {
			printf("skipped: %s: this kernel or machine does not have it\n", place->function);
			skipped++;
		} else if (with == place->refused || with < 0) {
			printf("skipped: %s: refused here even with every capability (%s)\n", place->function, name(with));
			skipped++;
		} else if (without != place->refused) {
			printf("FAIL %s: %s with, and %s without, expected %s\n", place->function, name(with), name(without), name(place->refused));
			failed++;
		} else {
			printf("ok %s: %s with, %s without\n", place->function, name(with), name(without));
			passed++;
		}
	}
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed > 0;
}
