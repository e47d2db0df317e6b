/*
 * probe: does what capprof's hook has to do, without capprof's code, so that the
 * policy module is tested by itself.
 *
 *   probe hook OUTPUT     every act of the hook's domain; one line "ok NAME" or
 *                         "FAIL NAME: ERROR" per act, appended to OUTPUT; reads
 *                         its standard input to the end, as a hook does
 *   probe use CAP N       use CAP_SYS_ADMIN or CAP_CHOWN (sys_admin, chown) N times
 *   probe set BOOLEAN=0|1...  write booleans, commit them, print the milliseconds
 *   probe watch CAP N FENCE  listen to the multicast group, switch the auditing of
 *                         CAP off at the Nth record of it, print what was heard
 *                         until FENCE
 *   probe lost            print the kernel's count of lost audit records
 *   probe fence TEXT      send a user-space record and exit
 *
 * Exit status: 0 if everything succeeded, 1 otherwise.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define SELINUX "/sys/fs/selinux"
#define BPF_FS "/sys/fs/bpf"
#define BPF_FS_MAGIC 0xcafe4a11

static int out = 1;
static int failures;

static void line(const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof text - 1)
		length = sizeof text - 1;
	if (write(out, text, length) != length)
		exit(1);
}

static void report(const char *name, int good)
{
	if (good) {
		line("ok %s\n", name);
	} else {
		line("FAIL %s: %s\n", name, strerror(errno));
		failures++;
	}
}

static int read_file(const char *path, char *buffer, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	ssize_t length = read(file, buffer, size - 1);
	close(file);
	if (length < 0)
		return -1;
	buffer[length] = 0;
	return length;
}

static int write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	ssize_t length = write(file, text, strlen(text));
	int error = errno;
	close(file);
	errno = error;
	return length == (ssize_t)strlen(text) ? 0 : -1;
}

/* One request, one answer, as all files of selinuxfs that compute work. */
static int transaction(const char *path, const char *request, char *answer, size_t size)
{
	int file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return -1;
	ssize_t length = write(file, request, strlen(request));
	if (length >= 0)
		length = read(file, answer, size - 1);
	int error = errno;
	close(file);
	errno = error;
	if (length < 0)
		return -1;
	answer[length] = 0;
	return 0;
}

#include "audit.h"
#include "bpf.h"

/* ---- the hook's acts -------------------------------------------------------- */

static int boolean(const char *name, int value)
{
	char path[256];
	snprintf(path, sizeof path, SELINUX "/booleans/%s", name);
	if (write_file(path, value ? "1" : "0") < 0)
		return -1;
	return write_file(SELINUX "/commit_pending_bools", "1");
}

static int boolean_is(const char *name)
{
	char path[256], text[16];
	snprintf(path, sizeof path, SELINUX "/booleans/%s", name);
	if (read_file(path, text, sizeof text) < 0)
		return -1;
	return text[0] == '1';
}

static void selinux_acts(void)
{
	char text[4096], request[4096], index[64];
	report("read_own_label", read_file("/proc/self/attr/current", text, sizeof text) > 0);
	line("# label %s\n", text);
	report("enforcing_read", read_file(SELINUX "/enforce", text, sizeof text) > 0);
	int enforcing = text[0] == '1';
	/* Off and on again: for the instant between the host is permissive. */
	report("setenforce_0", write_file(SELINUX "/enforce", "0") == 0);
	report("setenforce_1", write_file(SELINUX "/enforce", enforcing ? "1" : "0") == 0);
	int before = boolean_is("capprof_recording");
	report("boolean_read", before >= 0);
	report("setbool", boolean("capprof_recording", !before) == 0 &&
				  boolean_is("capprof_recording") == !before &&
				  boolean("capprof_recording", before) == 0);
	if (boolean_is("container_use_host_all_caps") >= 0) {
		int was = boolean_is("container_use_host_all_caps");
		report("setbool_engine", boolean("container_use_host_all_caps", !was) == 0 &&
						 boolean("container_use_host_all_caps", was) == 0);
	}
	report("flush", write_file(SELINUX "/commit_pending_bools", "1") == 0);
	report("check_context", transaction(SELINUX "/context",
					    "system_u:system_r:capprof_t:s0:c1,c2-s0:c1,c2,c500,c501",
					    text, sizeof text) == 0);
	report("class_index",
	       read_file(SELINUX "/class/capability/index", index, sizeof index) > 0);
	snprintf(request, sizeof request,
		 "system_u:system_r:capprof_t:s0 system_u:system_r:capprof_t:s0 %d", atoi(index));
	report("compute_av", transaction(SELINUX "/access", request, text, sizeof text) == 0);
	report("permission_value",
	       read_file(SELINUX "/class/capability/perms/sys_admin", text, sizeof text) > 0);
	int status = open(SELINUX "/status", O_RDONLY | O_CLOEXEC);
	report("status_map",
	       status >= 0 && mmap(NULL, 4096, PROT_READ, MAP_SHARED, status, 0) != MAP_FAILED);
	close(status);
	report("config", read_file("/etc/selinux/config", text, sizeof text) > 0);
}

static void audit_acts(void)
{
	struct audit_status status;
	char nonce[64], text[4096];
	report("audit_get", audit_state(&status) == 0);
	report("audit_list_rules", audit_rules() == 0);
	int listener = audit_join();
	report("audit_join", listener >= 0);
	snprintf(nonce, sizeof nonce, "probe-fence-%d", getpid());
	report("audit_fence", audit_fence(nonce) == 0);
	if (listener >= 0)
		report("audit_hear_fence", hear(listener, nonce) == 0);
	close(listener);
	report("audit_config", read_file("/etc/audit/auditd.conf", text, sizeof text) > 0);
	struct stat log;
	report("audit_log_stat", stat("/var/log/audit/audit.log", &log) == 0);
	report("audit_log_read", read_file("/var/log/audit/audit.log", text, sizeof text) > 0);
	int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX,
				       .sun_path = "/run/systemd/journal/socket" };
	const char *entry = "MESSAGE=probe of the policy module\nPRIORITY=5\n";
	report("journal", sendto(journal, entry, strlen(entry), 0, (struct sockaddr *)&address,
				 sizeof address) > 0);
	strcpy(address.sun_path, "/dev/log");
	const char *message = "<13>probe: of the policy module";
	report("syslog", sendto(journal, message, strlen(message), 0, (struct sockaddr *)&address,
				sizeof address) > 0);
	close(journal);
}

/* Replaces a file as capprof does: a temporary file next to it, then rename. */
static int replace(const char *directory, const char *name, const char *text)
{
	char temporary[512], path[512];
	snprintf(temporary, sizeof temporary, "%s/.%s.probe", directory, name);
	snprintf(path, sizeof path, "%s/%s", directory, name);
	int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return -1;
	int bad = write(file, text, strlen(text)) < 0 || fchmod(file, 0644) < 0 ||
		  fchown(file, 0, 0) < 0 || fsync(file) < 0;
	int error = errno;
	close(file);
	errno = error;
	if (bad || rename(temporary, path) < 0)
		return -1;
	int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bad = folder < 0 || fsync(folder) < 0;
	close(folder);
	return bad ? -1 : 0;
}

static void store_acts(void)
{
	static const char *const folders[] = { "/run/capprof", "/var/lib/capprof" };
	char name[256], path[256], text[64];
	for (int i = 0; i < 2; i++) {
		mkdir(folders[i], 0700);
		snprintf(path, sizeof path, "%s/probe-%d", folders[i], getpid());
		snprintf(name, sizeof name, "store_create %s", folders[i]);
		report(name, mkdir(path, 0700) == 0);
		snprintf(name, sizeof name, "store_replace %s", folders[i]);
		report(name, replace(path, "state.json", "{}\n") == 0 &&
				     replace(path, "state.json", "{}\n") == 0);
		char file[512];
		snprintf(file, sizeof file, "%s/state.json", path);
		int locked = open(file, O_RDWR | O_CLOEXEC);
		struct flock whole = { .l_type = F_WRLCK };
		snprintf(name, sizeof name, "store_lock %s", folders[i]);
		report(name, locked >= 0 && fcntl(locked, F_SETLK, &whole) == 0);
		close(locked);
		snprintf(name, sizeof name, "store_remove %s", folders[i]);
		report(name, read_file(file, text, sizeof text) > 0 && unlink(file) == 0 &&
				     rmdir(path) == 0);
	}
	report("configuration", access("/etc/capprof", R_OK) == 0 || errno == ENOENT);
}

static void process_acts(int container)
{
	char path[128], text[4096];
	report("proc_init_label", read_file("/proc/1/attr/current", text, sizeof text) > 0);
	report("proc_init_stat", read_file("/proc/1/stat", text, sizeof text) > 0);
	report("proc_init_root", readlink("/proc/1/root", text, sizeof text) > 0);
	report("proc_init_namespace", readlink("/proc/1/ns/mnt", text, sizeof text) > 0);
	report("proc_init_alive", kill(1, 0) == 0);
	report("cap_last_cap", read_file("/proc/sys/kernel/cap_last_cap", text, sizeof text) > 0);
	if (container <= 0)
		return;
	snprintf(path, sizeof path, "/proc/%d/attr/current", container);
	report("container_label", read_file(path, text, sizeof text) > 0);
	snprintf(path, sizeof path, "/proc/%d/ns/user", container);
	report("container_user_namespace", readlink(path, text, sizeof text) > 0);
	struct stat state;
	report("container_user_namespace_stat", stat(path, &state) == 0);
	snprintf(path, sizeof path, "/proc/%d/cgroup", container);
	report("container_cgroup", read_file(path, text, sizeof text) > 0);
	snprintf(path, sizeof path, "/proc/%d/root/bin/busybox", container);
	errno = 0;
	report("container_executable_capabilities",
	       getxattr(path, "security.capability", text, sizeof text) >= 0 || errno == ENODATA);
	report("container_executable_read", read_file(path, text, sizeof text) > 0);
	report("container_alive", kill(container, 0) == 0);
}

/* What `why` looks at when a system call was refused. */
static void why_acts(void)
{
	static const char *const sysctls[] = { "kernel/dmesg_restrict", "fs/protected_symlinks", "fs/file-max", "user/max_user_namespaces", "vm/mmap_min_addr",
					       "net/ipv4/ip_unprivileged_port_start" };
	char name[128], path[128], text[64];
	for (size_t i = 0; i < sizeof sysctls / sizeof *sysctls; i++) {
		snprintf(path, sizeof path, "/proc/sys/%s", sysctls[i]);
		snprintf(name, sizeof name, "sysctl %s", sysctls[i]);
		report(name, read_file(path, text, sizeof text) > 0);
	}
	struct stat found;
	report("device_stat", stat("/dev/null", &found) == 0);
	report("socket_stat", stat("/run/systemd/journal/socket", &found) == 0);
	struct sched_param first = { .sched_priority = 1 };
	report("real_time", sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) == 0);
	int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	report("mount_namespace", mounts >= 0 && setns(mounts, CLONE_NEWNS) == 0);
	close(mounts);
}

static void bundle_acts(const char *bundle)
{
	char path[1024];
	static char text[1 << 20];
	snprintf(path, sizeof path, "%s/config.json", bundle);
	int length = read_file(path, text, sizeof text);
	report("bundle_read", length > 0);
	report("bundle_profile", replace(bundle, "capprof.json", "{}\n") == 0);
	report("bundle_minimized", replace(bundle, "config.minimized.json", "{}\n") == 0);
	if (length > 0)
		report("bundle_replace", replace(bundle, "config.json", text) == 0);
}

/* The watcher: detached, in a control group of its own, from the same binary. */
static void watcher_acts(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char path[256] = "", file[300], text[32];
	for (int i = 0; i < 2 && !path[0]; i++) {
		snprintf(file, sizeof file, "%s/cgroup.procs", roots[i]);
		if (access(file, F_OK) == 0)
			snprintf(path, sizeof path, "%s/capprof-probe-%d", roots[i], getpid());
	}
	report("cgroup_make", path[0] && mkdir(path, 0755) == 0);
	int pipe_[2];
	if (pipe(pipe_) < 0)
		return;
	pid_t child = fork();
	if (child == 0) {
		setsid();
		struct rlimit limit = { 65536, 65536 };
		int good = setrlimit(RLIMIT_NOFILE, &limit) == 0;
		snprintf(file, sizeof file, "%s/cgroup.procs", path);
		snprintf(text, sizeof text, "%d", getpid());
		good = good && write_file(file, text) == 0;
		dup2(pipe_[1], 1);
		execl("/proc/self/exe", "probe", good ? "self" : "nothing", NULL);
		_exit(1);
	}
	close(pipe_[1]);
	char answer[128] = "";
	ssize_t length = read(pipe_[0], answer, sizeof answer - 1);
	close(pipe_[0]);
	int status;
	waitpid(child, &status, 0);
	report("watcher_exec", length > 0 && strstr(answer, "capprof_hook_t") != NULL);
	for (int i = 0; i < 50 && rmdir(path) < 0 && errno == EBUSY; i++)
		usleep(20000);
	report("cgroup_remove", access(path, F_OK) < 0);
}

/* The acts that no hook may do. Succeeding is the failure. */
static void forbidden_acts(void)
{
	char text[64];
	report("refused_read_shadow", open("/etc/shadow", O_RDONLY) < 0 && errno == EACCES);
	report("refused_load_policy", write_file(SELINUX "/load", "x") < 0 && errno == EACCES);
	report("refused_exec_shell", access("/bin/busybox", X_OK) < 0 && errno == EACCES);
	report("refused_write_etc", open("/etc/probe", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	report("refused_write_audit_log",
	       open("/var/log/audit/audit.log", O_WRONLY) < 0 && errno == EACCES);
	report("refused_write_sysctl", open("/proc/sys/fs/protected_symlinks", O_WRONLY) < 0 && errno == EACCES);
	report("refused_open_device", open("/dev/kmsg", O_RDONLY) < 0 && errno == EACCES);
	report("refused_kernel_memory", read_file("/proc/kcore", text, sizeof text) < 0 && errno == EACCES);
	int socket_ = audit_socket();
	struct audit_status status = { .mask = AUDIT_STATUS_RATE_LIMIT, .rate_limit = 0 };
	int refused = audit_send(socket_, AUDIT_SET, &status, sizeof status) < 0 ||
		      audit_answer(socket_, 0, NULL, 0) < 0;
	report("refused_audit_set", refused && (errno == EACCES || errno == EPERM));
	/* Without fields: it would match nothing. */
	struct audit_rule_data rule = { .flags = AUDIT_FILTER_EXCLUDE, .action = AUDIT_NEVER };
	refused = audit_send(socket_, AUDIT_ADD_RULE, &rule, sizeof rule) < 0 ||
		  audit_answer(socket_, 0, NULL, 0) < 0;
	report("refused_audit_add_rule", refused && (errno == EACCES || errno == EPERM));
	close(socket_);
}

/* The value of a key of the state, without a JSON parser: "key": VALUE. */
static const char *member(const char *state, const char *key, char *value, size_t size)
{
	char wanted[64];
	snprintf(wanted, sizeof wanted, "\"%s\":", key);
	const char *at = strstr(state, wanted);
	value[0] = 0;
	if (!at)
		return NULL;
	at += strlen(wanted);
	while (*at == ' ' || *at == '"')
		at++;
	size_t length = strcspn(at, "\",}\n");
	if (length >= size)
		length = size - 1;
	memcpy(value, at, length);
	value[length] = 0;
	return value;
}

static int hook(const char *output, int forbidden)
{
	out = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (out < 0) {
		fprintf(stderr, "probe: open %s: %s\n", output, strerror(errno));
		return 1;
	}
	char state[65536] = "", value[512];
	size_t length = 0;
	ssize_t got;
	while (length < sizeof state - 1 &&
	       (got = read(0, state + length, sizeof state - 1 - length)) > 0)
		length += got;
	report("stdin", got >= 0);
	if (forbidden) {
		forbidden_acts();
	} else {
		selinux_acts();
		audit_acts();
		bpf_acts();
		store_acts();
		process_acts(member(state, "pid", value, sizeof value) ? atoi(value) : 0);
		if (member(state, "bundle", value, sizeof value))
			bundle_acts(value);
		watcher_acts();
		why_acts();
	}
	line("end %d failed\n", failures);
	return failures ? 1 : 0;
}

/* ---- measuring -------------------------------------------------------------- */

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int use(const char *capability, long count)
{
	char name[65], path[] = "/tmp/probe-XXXXXX";
	int file = -1;
	if (!strcmp(capability, "chown")) {
		file = mkstemp(path);
		if (file < 0)
			return 1;
		unlink(path);
	} else if (strcmp(capability, "sys_admin")) {
		return 1;
	}
	gethostname(name, sizeof name);
	double start = seconds();
	for (long i = 0; i < count; i++) {
		int bad = file >= 0 ? fchown(file, 1000 + i % 2, 0) : sethostname(name, strlen(name));
		if (bad) {
			perror(capability);
			return 1;
		}
	}
	printf("%ld uses of %s in %.3f s\n", count, capability, seconds() - start);
	return 0;
}

/*
 * What capprof's watcher does with the booleans, at its simplest: the bound of
 * the audit volume is measured with it.
 */
static int watch(const char *capability, long limit, const char *fence)
{
	char wanted[64], name[64], buffer[16384];
	snprintf(wanted, sizeof wanted, "granted  { %s }", capability);
	snprintf(name, sizeof name, "capprof_audit_%s", capability);
	int listener = audit_join();
	if (listener < 0) {
		perror("join the audit multicast group");
		return 1;
	}
	/* The test waits for this line before it starts the flood. */
	printf("listening\n");
	fflush(stdout);
	long heard = 0, at_switch = -1, overruns = 0;
	double switched = 0;
	struct pollfd ready = { .fd = listener, .events = POLLIN };
	while (poll(&ready, 1, 120000) > 0) {
		ssize_t size = recv(listener, buffer, sizeof buffer - 1, 0);
		if (size < 0) {
			overruns += errno == ENOBUFS;
			continue;
		}
		buffer[size] = 0;
		char *text = buffer + NLMSG_HDRLEN;
		if (strstr(text, fence))
			break;
		if (!strstr(text, wanted) || !strstr(text, "capprof_t"))
			continue;
		if (++heard == limit) {
			double start = seconds();
			if (boolean(name, 0) < 0) {
				perror(name);
				return 1;
			}
			switched = seconds() - start;
			at_switch = heard;
		}
	}
	printf("heard %ld switched_at %ld commit_ms %.1f overruns %ld\n", heard, at_switch,
	       switched * 1000, overruns);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "hook"))
		return hook(argv[2], 0);
	if (argc >= 3 && !strcmp(argv[1], "forbidden"))
		return hook(argv[2], 1);
	if (argc >= 2 && !strcmp(argv[1], "self")) {
		char text[256] = "";
		read_file("/proc/self/attr/current", text, sizeof text);
		puts(text);
		return 0;
	}
	if (argc >= 4 && !strcmp(argv[1], "use"))
		return use(argv[2], atol(argv[3]));
	if (argc >= 3 && !strcmp(argv[1], "set")) {
		double start = seconds();
		for (int i = 2; i < argc; i++) {
			char path[256];
			char *equals = strchr(argv[i], '=');
			if (!equals)
				return 1;
			snprintf(path, sizeof path, SELINUX "/booleans/%.*s", (int)(equals - argv[i]), argv[i]);
			if (write_file(path, equals + 1) < 0) {
				perror(path);
				return 1;
			}
		}
		if (write_file(SELINUX "/commit_pending_bools", "1") < 0) {
			perror("commit");
			return 1;
		}
		printf("%.1f ms\n", (seconds() - start) * 1000);
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "watch"))
		return watch(argv[2], atol(argv[3]), argv[4]);
	if (argc == 2 && !strcmp(argv[1], "lost")) {
		struct audit_status status;
		if (audit_state(&status) < 0) {
			perror("audit");
			return 1;
		}
		printf("lost %u backlog_limit %u enabled %u\n", status.lost, status.backlog_limit,
		       status.enabled);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "fence"))
		return audit_fence(argv[2]) < 0 ? (perror("fence"), 1) : 0;
	fprintf(stderr, "usage: probe hook FILE | forbidden FILE | use CAP N | set NAME=0|1... | watch CAP N FENCE | lost | fence TEXT\n");
	return 1;
}
