/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the eBPF recorder have a container do, one action per argument; compiled static by the tests. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
static struct __user_cap_data_struct sets[2];

static void fail(const char *action)
{
	perror(action);
	exit(1);
}

static void must(int result, const char *action)
{
	if (result < 0)
		fail(action);
}

static void *execute(void *path)
{
	execl(path, path, "nothing", (char *)0);
	return NULL;
}

static void *leave(void *unused)
{
	usleep(50000);
	exit(7);
	return unused;
}

static struct __user_cap_data_struct *unsteady;

/* Takes the page away again and again, which reads as zeros when it is touched next. */
static void *take_away(void *unused)
{
	for (;;)
		madvise(unsteady, 4096, MADV_DONTNEED);
	return unused;
}

/* setsockopt(2) as an operation of io_uring (Linux 6.7). */
static const struct {
	int type, level, name;
} options[] = {
	/* The kernel asks for a capability or two for each of them. */
	{ SOCK_STREAM, SOL_SOCKET, SO_DEBUG },
	{ SOCK_STREAM, SOL_SOCKET, SO_SNDBUFFORCE },
	{ SOCK_STREAM, SOL_SOCKET, SO_RCVBUFFORCE },
	{ SOCK_STREAM, SOL_SOCKET, SO_PRIORITY },
	{ SOCK_STREAM, SOL_SOCKET, SO_MARK },
	{ SOCK_STREAM, SOL_SOCKET, 69 /* SO_PREFER_BUSY_POLL */ },
	{ SOCK_STREAM, SOL_SOCKET, 70 /* SO_BUSY_POLL_BUDGET */ },
	{ SOCK_STREAM, IPPROTO_TCP, 19 /* TCP_REPAIR */ },
	{ SOCK_STREAM, IPPROTO_IP, IP_TRANSPARENT },
	{ SOCK_STREAM, IPPROTO_IP, IP_XFRM_POLICY },
	{ SOCK_STREAM, IPPROTO_IPV6, 75 /* IPV6_TRANSPARENT */ },
	{ SOCK_STREAM, IPPROTO_IPV6, IPV6_XFRM_POLICY },
	{ SOCK_STREAM, IPPROTO_IPV6, IPV6_HOPOPTS },
	{ SOCK_DGRAM, IPPROTO_IP, IP_TRANSPARENT },
	{ SOCK_DGRAM, IPPROTO_IP, IP_XFRM_POLICY },
	{ SOCK_DGRAM, IPPROTO_IPV6, 75 },
	{ SOCK_DGRAM, IPPROTO_IPV6, IPV6_XFRM_POLICY },
	{ SOCK_DGRAM, IPPROTO_IPV6, IPV6_HOPOPTS },
};

/* Sets so many of the options in one system call, all of which are refused. Returns false if this kernel does not do that. */
static int set_options_at_once(unsigned int number)
{
	static int value = 1000;
	struct io_uring_params parameters = { 0 };
	int ring = syscall(SYS_io_uring_setup, 32, &parameters);
	int stream = socket(AF_INET6, SOCK_STREAM, 0), datagrams = socket(AF_INET6, SOCK_DGRAM, 0);
	struct io_uring_sqe *entries;
	struct io_uring_cqe *results;
	unsigned int *tail;
	char *rings;

	must(stream, "socket");
	must(datagrams, "socket");
	if (ring < 0)
		return 0;
	rings = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	entries = mmap(NULL, 32 * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	if (rings == MAP_FAILED || entries == MAP_FAILED || !(parameters.features & IORING_FEAT_SINGLE_MMAP))
		return 0;
	for (unsigned int i = 0; i < number; i++) {
		struct io_uring_sqe *entry = &entries[i];

		memset(entry, 0, sizeof(*entry));
		entry->opcode = 46; /* IORING_OP_URING_CMD */
		entry->fd = options[i].type == SOCK_STREAM ? stream : datagrams;
		entry->off = 3; /* SOCKET_URING_OP_SETSOCKOPT */
		entry->addr = (unsigned int)options[i].level | (unsigned long)options[i].name << 32;
		entry->splice_fd_in = sizeof(value);
		entry->addr3 = (unsigned long)&value;
		((unsigned int *)(rings + parameters.sq_off.array))[i] = i;
	}
	tail = (void *)(rings + parameters.sq_off.tail);
	__atomic_store_n(tail, *tail + number, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring, number, number, IORING_ENTER_GETEVENTS, NULL, 0), "io_uring_enter");
	results = (void *)(rings + parameters.cq_off.cqes);
	for (unsigned int i = 0; i < number; i++)
		if (results[i].res != -EPERM && results[i].res != -EACCES)
			return 0;
	return 1;
}

static void *end(void *unused)
{
	usleep(50000);
	syscall(SYS_exit, 0);
	return unused;
}

static int write_again(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	char value[4096];
	int entry;
	ssize_t length;

	(void)status;
	(void)where;
	if (kind != FTW_F)
		return 0;
	entry = open(path, O_RDWR);
	if (entry < 0)
		return 0;
	length = read(entry, value, sizeof(value));
	if (length > 0)
		(void)!pwrite(entry, value, length, 0);
	return close(entry);
}

/* Returns a process of another user. */
static int other_user(const char *action)
{
	int child = fork();

	must(child, action);
	if (child)
		return usleep(100000), child;
	must(syscall(SYS_setuid, 12345), action);
	pause();
	_exit(0);
}

/* System calls with objects of all kinds, each of which needs a capability of user 1000. */
static void objects(const char *action)
{
	struct sockaddr_in port = { .sin_family = AF_INET, .sin_port = htons(81) };
	struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/tmp/socket" };
	int inet = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);

	must(close(creat("/tmp/theirs", 0600)), action);
	must(syscall(SYS_fchownat, AT_FDCWD, "/tmp/theirs", 12345, 12345, 0), action);
	must(syscall(SYS_openat, AT_FDCWD, "/tmp/theirs", O_WRONLY), action);
	must(syscall(SYS_mknodat, open("/tmp", O_RDONLY), "device", S_IFCHR | 0600, makedev(1, 3)), action);
	must(mkdir("/mnt", 0755), action);
	must(mount("none", "/mnt", "tmpfs", 0, NULL), action);
	must(bind(inet, (void *)&port, sizeof(port)), action);
	must(bind(local, (void *)&path, sizeof(path)), action);
	must(listen(local, 1), action);
	must(chmod("/tmp/socket", 0), action);
	must(lchown("/tmp/socket", 12345, 12345), action);
	must(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&path, sizeof(path)), action);
	must(kill(other_user(action), SIGKILL), action);
	must(chroot("/tmp"), action);
	must(syscall(SYS_setuid, 12345), action);
}

static void act(const char *action)
{
	pthread_t thread;
	char buffer[65536];
	ssize_t length;

	if (!strcmp(action, "nothing"))
		return;
	if (!strcmp(action, "chroot")) {
		must(chroot("/"), action);
	} else if (!strcmp(action, "chroot-1000")) {
		for (int i = 0; i < 1000; i++)
			must(chroot("/"), action);
	} else if (!strcmp(action, "forks-then-namespace")) {
		/* One system call, one capability, two call paths; the second comes late. */
		for (int i = 0; i < 300; i++) {
			int child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
			must(child, action);
			if (child == 0)
				_exit(0);
			waitpid(child, NULL, 0);
		}
		int child = syscall(SYS_clone, SIGCHLD | CLONE_NEWUTS, 0, 0, 0, 0);
		must(child, action);
		if (child == 0)
			_exit(0);
		waitpid(child, NULL, 0);
	} else if (!strcmp(action, "access-null")) {
		access("/dev/null", W_OK);
		syscall(SYS_faccessat, AT_FDCWD, "/dev/zero", R_OK);
	} else if (!strcmp(action, "ping-socket")) {
		/* As podman sets it. */
		int range = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);

		must(range, action);
		must(write(range, "0 0", 3), action);
		must(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), action);
		must(socket(AF_INET, SOCK_DGRAM, 0), action);
	} else if (!strcmp(action, "open-null")) {
		close(open("/dev/null", O_RDWR));
	} else if (!strcmp(action, "setuid-same")) {
		must(syscall(SYS_setuid, getuid()), action);
	} else if (!strcmp(action, "setresgid-same")) {
		must(syscall(SYS_setresgid, -1, getegid(), -1), action);
	} else if (!strcmp(action, "setgid-other")) {
		must(syscall(SYS_setgid, 7), action);
	} else if (!strcmp(action, "setuid-other")) {
		must(syscall(SYS_setuid, 7), action);
	} else if (!strcmp(action, "capset-list")) {
		/* What a program does that knows what it wants. */
		memset(sets, 0, sizeof(sets));
		sets[0].permitted = sets[0].effective = 1 << CAP_NET_ADMIN | 1 << CAP_NET_BIND_SERVICE;
		must(syscall(SYS_capset, &header, sets), action);
	} else if (!strcmp(action, "capset-refused")) {
		must(syscall(SYS_capget, &header, sets), action);
		sets[0].permitted &= ~(1 << CAP_KILL);
		sets[0].effective &= ~(1 << CAP_KILL);
		must(syscall(SYS_capset, &header, sets), action);
		sets[0].permitted |= 1 << CAP_KILL;
		if (syscall(SYS_capset, &header, sets) == 0)
			fail(action);
	} else if (!strcmp(action, "capset-inheritable")) {
		/* An inheritable bit that is not permitted: the one thing that CAP_SETPCAP gives here. */
		must(syscall(SYS_capget, &header, sets), action);
		sets[0].permitted &= ~(1 << CAP_KILL);
		sets[0].effective &= ~(1 << CAP_KILL);
		must(syscall(SYS_capset, &header, sets), action);
		sets[0].inheritable |= 1 << CAP_KILL;
		must(syscall(SYS_capset, &header, sets), action);
	} else if (!strcmp(action, "capset-unsteady")) {
		/* The kernel has read the sets when it asks for the capability, and the page is gone. */
		time_t stop = time(NULL) + 5;

		unsteady = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(-pthread_create(&thread, NULL, take_away, NULL), action);
		while (time(NULL) < stop)
			must(syscall(SYS_capset, &header, unsteady), action);
	} else if (!strcmp(action, "securebits")) {
		must(prctl(PR_SET_SECUREBITS, 1 << 4), action);
	} else if (!strcmp(action, "memfd")) {
		int memory = memfd_create("memory", 0), self = open("/proc/self/exe", O_RDONLY);
		char *arguments[] = { "memory", "nothing", NULL };

		while ((length = read(self, buffer, sizeof(buffer))) > 0)
			must(write(memory, buffer, length), action);
		fexecve(memory, arguments, environ);
		fail(action);
	} else if (!strcmp(action, "thread-exec")) {
		/* Goes on as another thread of the same group. */
		must(-pthread_create(&thread, NULL, execute, "/bin/second"), action);
		pthread_join(thread, NULL);
		fail(action);
	} else if (!strcmp(action, "compat-chroot")) {
#if defined(__x86_64__)
		char *path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		long result = 61;

		strcpy(path, "/");
		__asm__ volatile("int $0x80" : "+a"(result) : "b"((long)path) : "memory");
		if (result)
			exit(2);
		/* reboot(2) with no magic. Its number is that of symlink(2) in the other table, where the path would be in this register. */
		result = 88;
		__asm__ volatile("int $0x80" : "+a"(result) : "b"(0L), "c"(0L), "d"(0L), "S"(path), "D"(path) : "memory");
		if (result != -EINVAL)
			exit(2);
#else
		exit(2);
#endif
	} else if (!strcmp(action, "objects")) {
		objects(action);
	} else if (!strcmp(action, "long-chroot")) {
		memset(buffer, '/', 4000);
		buffer[4000] = 0;
		must(chroot(buffer), action);
	} else if (!strcmp(action, "chown-by-descriptor")) {
		must(fchown(creat("/tmp/mine", 0600), 12345, 12345), action);
	} else if (!strcmp(action, "refusals")) {
		/* Checks that are refused to a process without capabilities, in system calls that come to different ends. */
		struct rlimit one_page = { 4096, 4096 };

		for (int i = 0; i < 3; i++)
			if (chroot("/") == 0 || errno != EPERM)
				fail("chroot");
		for (int i = 0; i < 2; i++)
			if (open("/closed", O_RDONLY) >= 0 || errno != EACCES)
				fail("/closed");
		must(setrlimit(RLIMIT_MEMLOCK, &one_page), "setrlimit");
		if (mlock(buffer, sizeof(buffer)) == 0 || errno != ENOMEM)
			fail("mlock");
		must(setuid(getuid()), "setuid");
	} else if (!strncmp(action, "refused-at-once-", 16)) {
		if (!set_options_at_once(atoi(action + 16)))
			exit(2);
	} else if (!strncmp(action, "programs-", 9)) {
		/* To the recorder a file is another program for each user that executes it. */
		for (int i = 0; i < atoi(action + 9); i++) {
			int child = vfork();
			must(child, action);
			if (child == 0) {
				syscall(SYS_setuid, 1000 + i);
				execl("/bin/probe", "probe", "nothing", (char *)0);
				_exit(1);
			}
			waitpid(child, NULL, 0);
		}
	} else if (!strncmp(action, "checks-", 7)) {
		/* The same checks by as many programs, all of a process without capabilities: they are refused. */
		for (int i = 0; i < atoi(action + 7); i++) {
			int child = vfork();
			must(child, action);
			if (child == 0) {
				syscall(SYS_setuid, 1000 + i);
				execl("/bin/probe", "probe", "refused-paths", (char *)0);
				_exit(1);
			}
			waitpid(child, NULL, 0);
		}
	} else if (!strcmp(action, "refused-paths")) {
		/* Each of these system calls asks for two capabilities. */
		const char *path = "/shut/file";
		struct statfs file_system;
		struct stat status;

		access(path, R_OK);
		chdir(path);
		chmod(path, 0);
		chroot(path);
		execl(path, path, (char *)0);
		getxattr(path, "user.x", buffer, 1);
		inotify_add_watch(inotify_init(), path, IN_OPEN);
		lchown(path, 0, 0);
		lgetxattr(path, "user.x", buffer, 1);
		link(path, path);
		listxattr(path, buffer, 1);
		llistxattr(path, buffer, 1);
		lremovexattr(path, "user.x");
		lsetxattr(path, "user.x", "", 0, 0);
		mkdir(path, 0);
		mknod(path, S_IFIFO, 0);
		open(path, O_RDONLY);
		statfs(path, &file_system);
		readlink(path, buffer, 1);
		removexattr(path, "user.x");
		rename(path, path);
		setxattr(path, "user.x", "", 0, 0);
		stat(path, &status);
		symlink(path, path);
		syscall(SYS_name_to_handle_at, AT_FDCWD, path, buffer, buffer, 0);
		syscall(SYS_statx, AT_FDCWD, path, 0, 0, buffer);
		truncate(path, 0);
		unlink(path);
		utimensat(AT_FDCWD, path, NULL, 0);
	} else if (!strncmp(action, "capsets-", 8)) {
		must(syscall(SYS_capget, &header, sets), action);
		for (int i = 0; i < atoi(action + 8); i++) {
			sets[0].inheritable = i;
			must(syscall(SYS_capset, &header, sets), action);
		}
	} else if (!strncmp(action, "mounters-", 9)) {
		/* setgroups(2) makes new credentials that share nothing with the former ones. */
		must(mount("none", "/tmp", "tmpfs", 0, NULL), action);
		for (int i = 0; i < atoi(action + 9); i++) {
			gid_t group = i;

			must(setgroups(1, &group), action);
			/* An open file keeps the credentials. Otherwise the kernel may put the next ones at the same address. */
			must(open("/", O_RDONLY), action);
			must(mount("none", "/tmp", "tmpfs", MS_REMOUNT, NULL), action);
			/* It lacks its directories, and is refused after the question for the capability. */
			if (mount("none", "/tmp", "overlay", 0, NULL) == 0)
				_exit(1);
		}
	} else if (!strncmp(action, "attributes-", 11)) {
		struct vfs_cap_data written = { VFS_CAP_REVISION_2 };

		must(close(creat("/tmp/file", 0700)), action);
		for (int i = 0; i < atoi(action + 11); i++) {
			written.data[0].permitted = i + 1;
			must(setxattr("/tmp/file", "security.capability", &written, sizeof(written), 0), action);
		}
	} else if (!strncmp(action, "devices-", 8)) {
		/* Made and never opened: 240 to 254 are for local use. */
		for (int i = 0; i < atoi(action + 8); i++) {
			must(mknod("/tmp/device", S_IFCHR | 0600, makedev(240, i)), action);
			must(unlink("/tmp/device"), action);
		}
	} else if (!strcmp(action, "ports")) {
		for (int i = 1; i < 1024; i++) {
			struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(i) };
			int made = socket(AF_INET, SOCK_STREAM, 0);

			must(made, action);
			must(bind(made, (void *)&address, sizeof(address)), action);
			must(close(made), action);
		}
	} else if (!strcmp(action, "sysctls")) {
		/* Of its network namespace: what they hold already. */
		must(nftw("/proc/sys/net/ipv4/conf", write_again, 8, FTW_PHYS), action);
		must(nftw("/proc/sys/net/ipv6/conf", write_again, 8, FTW_PHYS), action);
	} else if (!strncmp(action, "processes-", 10)) {
		int pipes[2];

		/* They end when nobody is left who could write. */
		must(pipe(pipes), action);
		for (int i = 0; i < atoi(action + 10); i++) {
			int child = fork();
			must(child, action);
			if (child == 0) {
				close(pipes[1]);
				_exit(read(pipes[0], buffer, 1) != 0);
			}
		}
		close(pipes[1]);
		while (wait(NULL) > 0)
			continue;
	} else if (!strcmp(action, "exit-in-thread")) {
		/* exit_group(2) by another thread than the first, which has ended. */
		must(-pthread_create(&thread, NULL, leave, NULL), action);
		pthread_exit(NULL);
	} else if (!strcmp(action, "last-thread-ends")) {
		/* exit(2) by both: the first one's status counts. */
		must(-pthread_create(&thread, NULL, end, NULL), action);
		syscall(SYS_exit, 5);
	} else {
		fprintf(stderr, "unknown action %s\n", action);
		exit(64);
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		act(argv[i]);
	return 0;
}
