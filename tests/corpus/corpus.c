// SPDX-License-Identifier: Apache-2.0
//
// The multi-call driver of the corpus.

#include "corpus.h"

#include <ctype.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/xattr.h>
#include <time.h>

extern const struct program *const __start_programs[], *const __stop_programs[];

static const char *current = "corpus";

int verdict(const char *operation, long result)
{
	if (result >= 0)
		return SUCCEEDED;
	int error = errno;
	fprintf(stderr, "%s: %s: %s\n", current, operation, strerror(error));
	if (error == ENOSYS)
		return skip("the kernel lacks this system call");
	return error == EPERM || error == EACCES ? REFUSED : BROKEN;
}

int harmless_verdict(const char *operation, long result, int harmless)
{
	if (result < 0 && errno == harmless)
		return SUCCEEDED;
	if (result >= 0) {
		fprintf(stderr, "%s: %s: was meant to fail with %s\n", current, operation, strerror(harmless));
		return BROKEN;
	}
	return verdict(operation, result);
}

int outcome(const char *operation, bool done)
{
	if (done)
		return SUCCEEDED;
	fprintf(stderr, "%s: %s: not done, and no error was reported\n", current, operation);
	return REFUSED;
}

int skip(const char *reason)
{
	fprintf(stderr, "skipped: %s\n", reason);
	return SKIPPED;
}

void must(bool condition, const char *operation)
{
	if (condition)
		return;
	fprintf(stderr, "%s: preparation failed: %s: %s\n", current, operation, strerror(errno));
	_exit(BROKEN);
}

int own_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	must(fd >= 0, "open an unnamed file in /tmp");
	return fd;
}

int other_object(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		fprintf(stderr, "skipped: no %s: lay it out with `corpus --prepare`\n", path);
		_exit(SKIPPED);
	}
	must(fd >= 0, path);
	return fd;
}

pid_t hold_other(const char *how, int *release)
{
	int to[2], from[2];
	char byte;
	close(other_object(OTHER "/hold", O_RDONLY));
	must(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "create pipes");
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl(OTHER "/hold", "corpus", how, (char *)NULL);
		_exit(BROKEN);
	}
	close(to[0]);
	close(from[1]);
	*release = to[1];
	if (read(from[0], &byte, 1) == 1)
		return pid;
	child_status(pid);
	return -1;
}

int child_status(pid_t pid)
{
	int status;
	must(waitpid(pid, &status, __WALL) == pid, "wait for the child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : BROKEN;
}

int in_child(int (*function)(void))
{
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0)
		_exit(function());
	return child_status(pid);
}

void execute_again(const char *argument)
{
	char path[4096] = "";
	char *arguments[] = {"corpus", (char *)argument, NULL};
	must(readlink("/proc/self/exe", path, sizeof path - 1) > 0, "find this executable");
	execv(path, arguments);
	must(false, "execute this executable again");
}

int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> (32 * i));
		data[i].permitted = (uint32_t)(permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	return (int)syscall(SYS_capset, &header, data);
}

int get_capabilities(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) != 0)
		return -1;
	*effective = data[0].effective | (uint64_t)data[1].effective << 32;
	*permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	*inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

// ---- names and descriptions

static void name_of(const struct program *program, char *group, char *name, size_t size)
{
	const char *end = strrchr(program->file, '/');
	const char *start = end;
	while (start > program->file && start[-1] != '/')
		start--;
	snprintf(group, size, "%.*s", (int)(end - start), start);
	snprintf(name, size, "%s", end + 1);
	*strrchr(name, '.') = '\0';
}

static int by_file(const void *left, const void *right)
{
	const struct program *const *l = left, *const *r = right;
	return strcmp((*l)->file, (*r)->file);
}

static void print_string(const char *text)
{
	putchar('"');
	for (; text && *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

// Prints a list of words as a JSON array.
static void print_words(const char *words, char separator)
{
	bool first = true;
	putchar('[');
	while (words && *words) {
		size_t length = strcspn(words, (char[]){separator, '\0'});
		printf("%s\"%.*s\"", first ? "" : ",", (int)length, words);
		first = false;
		words += length;
		while (*words == separator || *words == ' ')
			words++;
	}
	putchar(']');
}

static void print_alternatives(const char *text)
{
	bool first = true;
	char copy[256];
	char *rest = copy, *word;
	snprintf(copy, sizeof copy, "%s", text ? text : "");
	putchar('{');
	while ((word = strsep(&rest, " "))) {
		char *colon = strchr(word, ':');
		if (!colon)
			continue;
		*colon = '\0';
		printf("%s\"%s\":", first ? "" : ",", word);
		print_words(colon + 1, ',');
		first = false;
	}
	putchar('}');
}

static int list(void)
{
	size_t count = (size_t)(__stop_programs - __start_programs);
	const struct program **sorted = calloc(count, sizeof *sorted);
	must(sorted, "allocate memory");
	memcpy(sorted, __start_programs, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, by_file);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			// Programs are called by name alone, whatever their group.
			if (strcmp(strrchr(sorted[i]->file, '/'), strrchr(sorted[j]->file, '/')) == 0) {
				fprintf(stderr, "corpus: %s and %s have one name\n", sorted[i]->file, sorted[j]->file);
				return BROKEN;
			}
		}
	}
	for (size_t i = 0; i < count; i++) {
		const struct program *program = sorted[i];
		char group[64], name[64];
		name_of(program, group, name, sizeof name);
		printf("{\"name\":\"%s\",\"group\":\"%s\",\"capabilities\":", name, group);
		print_words(program->capabilities, ' ');
		printf(",\"alternatives\":");
		print_alternatives(program->alternatives);
		printf(",\"also_asked\":");
		print_words(program->also_asked, ' ');
		printf(",\"asks\":");
		print_string(program->asks);
		printf(",\"host_safe\":%s", program->guest_only ? "false" : "true");
		printf(",\"selinux_visible\":%s", program->selinux_blind || program->ebpf_blind ? "false" : "true");
		printf(",\"ebpf_visible\":%s", program->ebpf_blind ? "false" : "true");
		printf(",\"userns\":\"%s\",\"needs\":", program->initial ? "initial" : "own");
		print_words(program->needs, ';');
		printf(",\"note\":");
		print_string(program->note);
		puts("}");
	}
	free(sorted);
	return 0;
}

// ---- running

static int run(const char *wanted)
{
	for (const struct program *const *entry = __start_programs; entry < __stop_programs; entry++) {
		char group[64], name[64];
		name_of(*entry, group, name, sizeof name);
		if (strcmp(name, wanted) != 0)
			continue;
		current = wanted;
		return (*entry)->run();
	}
	fprintf(stderr, "corpus: no program %s; `corpus --list` names them all\n", wanted);
	return 64;
}

static int sequence(char **names)
{
	int worst = SUCCEEDED;
	for (; *names; names++) {
		pid_t pid = fork();
		must(pid >= 0, "fork");
		if (pid == 0)
			_exit(run(*names));
		int status = child_status(pid);
		if (status != SUCCEEDED && (worst == SUCCEEDED || worst == SKIPPED))
			worst = status;
	}
	return worst;
}

static void stop(int signal)
{
	(void)signal;
	_exit(0);
}

static _Noreturn void wait_for_signal(void)
{
	// The first process of a pid namespace gets no default action for a signal, hence a handler.
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	for (;;)
		pause();
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

enum { CHUNK = 500 };

// sethostname asks for CAP_SYS_ADMIN, then refuses the length: one check and nothing else.
static void plain_check(int descriptor)
{
	(void)descriptor;
	syscall(SYS_sethostname, "", -1);
}

// A forced buffer size asks for CAP_NET_ADMIN. The recorder reads the option, which decides if the answer mattered.
static void check_with_argument(int descriptor)
{
	int size = 4096;
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

// The socket is bound already, which the kernel notices only after it has asked for CAP_NET_BIND_SERVICE.
static void bind_port(int descriptor)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1023)};
	bind(descriptor, (struct sockaddr *)&address, sizeof(address));
}

static void no_check(int descriptor)
{
	(void)descriptor;
	syscall(SYS_getppid);
}

static const struct {
	const char *name;
	void (*call)(int descriptor);
} benches[] = {
	{"bench-check", plain_check},
	{"bench-argument", check_with_argument},
	{"bench-port", bind_port},
	{"bench-nocheck", no_check},
};

static int bench(const char *count_text, void (*call)(int descriptor))
{
	char *end;
	long count = strtol(count_text, &end, 10);
	if (*end || count <= 0) {
		fprintf(stderr, "corpus: %s is not a count\n", count_text);
		return 64;
	}
	int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
	if (descriptor < 0) {
		perror("corpus: socket");
		return BROKEN;
	}
	bind_port(descriptor);
	// The least of many short stretches: what else runs on the machine lengthens some.
	double least = 1e18;
	for (long done = 0; done < count; done += CHUNK) {
		double start = now(), took;
		for (long i = 0; i < CHUNK; i++)
			call(descriptor);
		took = (now() - start) / CHUNK;
		if (took < least)
			least = took;
	}
	close(descriptor);
	printf("%.1f\n", least);
	return 0;
}

// What several threads do at the same time, more than the machine has processors.
static void *check_often(void *count)
{
	for (long i = *(const long *)count; i > 0; i--)
		syscall(SYS_sethostname, "", -1);
	return NULL;
}

// How often the kernel took the processor from this process or a child of it that has ended, by RUSAGE_SELF or RUSAGE_CHILDREN.
static long preempted(int who)
{
	struct rusage usage;
	must(getrusage(who, &usage) == 0, "read how often the kernel preempted this process");
	return usage.ru_nivcsw;
}

// Threads that make one check after the other, while children are started that make one each. Prints how often the kernel preempted them.
static int storm(long threads, long checks, long children)
{
	pthread_t running[256];
	if (threads < 1 || threads > 256 || checks < 0 || children < 0)
		return 64;
	for (long i = 0; i < threads; i++)
		must(pthread_create(&running[i], NULL, check_often, &checks) == 0, "create a thread");
	for (long i = 0; i < children; i++) {
		int status;
		pid_t child = fork();
		must(child >= 0, "fork");
		if (child == 0) {
			close(1); // This process prints the sum.
			execl("/proc/self/exe", "corpus", "storm", "1", "1", "0", (char *)NULL);
			_exit(BROKEN);
		}
		must(waitpid(child, &status, 0) == child && status == 0, "wait for the child");
	}
	for (long i = 0; i < threads; i++)
		must(pthread_join(running[i], NULL) == 0, "wait for a thread");
	printf("%ld\n", preempted(RUSAGE_SELF) + preempted(RUSAGE_CHILDREN));
	return 0;
}

// ---- preparation, on the machine that builds the root file system

static void give(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	must(lchown(path, uid, gid) == 0, "change the owner");
	must(chmod(path, mode) == 0, "change the mode"); // after chown, which clears the set-id bits
}

static void copy_self(const char *path)
{
	char buffer[65536];
	ssize_t length;
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	unlink(path);
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	must(from >= 0 && to >= 0, path);
	while ((length = read(from, buffer, sizeof buffer)) > 0)
		must(write(to, buffer, (size_t)length) == length, path);
	must(length == 0, path);
	close(from);
	close(to);
}

static void write_file(const char *path)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, "other\n", 6) == 6, path);
	close(fd);
}

static int prepare(const char *directory, uid_t shift)
{
	uid_t other = shift + OTHER_ID;
	umask(0);
	must(mkdir(directory, 0755) == 0 || errno == EEXIST, directory);
	must(chdir(directory) == 0, directory);
	must(mkdir("sticky", 0755) == 0 || errno == EEXIST, "create sticky");
	must(mkdir("setgid", 0755) == 0 || errno == EEXIST, "create setgid");
	write_file("file");
	write_file("read-only");
	write_file("secret");
	write_file("our-group");
	write_file("sticky/file");
	write_file("open");
	copy_self("hold");
	copy_self("file-capability");
	copy_self("set-uid-root");
	give("file", other, other, 0644);
	give("read-only", other, other, 0444);
	give("our-group", other, shift, 0644);
	give("open", other, other, 0666);
	give("secret", other, other, 0600);
	give("sticky/file", other, other, 0644);
	give("sticky", other, other, 01777);
	give("setgid", other, other, 02777);
	give("hold", other, other, 04755);
	give("set-uid-root", shift, shift, 04755);
	give("file-capability", shift, shift, 0755);
	give(".", other, other, 0755);
	if (shift == 0) {
		struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE};
		data.data[0].permitted = 1u << CAP_NET_RAW;
		must(setxattr("file-capability", "security.capability", &data, sizeof data, 0) == 0,
		     "give file-capability its capability");
	} else {
		// A file capability counts in a user namespace only if it names that namespace's root.
		struct vfs_ns_cap_data data = {.magic_etc = VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE};
		data.data[0].permitted = 1u << CAP_NET_RAW;
		data.rootid = shift;
		must(setxattr("file-capability", "security.capability", &data, sizeof data, 0) == 0,
		     "give file-capability its capability");
	}
	return 0;
}

// Started from the set-uid copy: becomes somebody else in all three ids, says so, and stays until the pipe closes.
static int hold(bool nested)
{
	uid_t uid = geteuid();
	if (uid == getuid()) // the set-uid bit had no effect
		return SKIPPED;
	if (setresuid(uid, uid, uid) != 0)
		return BROKEN;
	// Whoever executes a set-uid file is not dumpable, and so out of reach for reasons of its own.
	must(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0, "become dumpable");
	if (nested && unshare(CLONE_NEWUSER) != 0)
		return SKIPPED;
	if (write(1, "r", 1) != 1)
		return BROKEN;
	char byte;
	return read(0, &byte, 1) == 0 ? 0 : BROKEN;
}

static int usage(FILE *out)
{
	fputs("usage: corpus NAME               run one program: exit 0 done, 1 refused, 2 broken, 77 skipped\n"
	      "       corpus --list             describe every program, one JSON object a line\n"
	      "       corpus --prepare DIR [FIRST-ID]\n"
	      "                                 lay out the objects of somebody else that some programs need;\n"
	      "                                 mount or copy DIR to " OTHER "; FIRST-ID: where the user namespace begins\n"
	      "       corpus seq NAME...        run several, one child each\n"
	      "       corpus wait               stay until SIGTERM\n"
	      "       corpus bench-check N      print the ns of a system call with one capability check\n"
	      "       corpus bench-argument N   the same, with an argument that decides\n"
	      "       corpus bench-port N       the same, for binding a port below 1024\n"
	      "       corpus bench-nocheck N    print the ns of a system call without\n"
	      "       corpus storm THREADS CHECKS CHILDREN\n"
	      "                                 so many checks in each of so many threads, and one in each of so many children;\n"
	      "                                 print how often the kernel preempted them\n",
	      out);
	return out == stdout ? 0 : 64;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	if (argc == 2 && strcmp(command, "--help") == 0)
		return usage(stdout);
	if (argc == 2 && strcmp(command, "--list") == 0)
		return list();
	if ((argc == 3 || argc == 4) && strcmp(command, "--prepare") == 0)
		return prepare(argv[2], argc == 4 ? (uid_t)strtoul(argv[3], NULL, 10) : 0);
	if (argc >= 3 && strcmp(command, "seq") == 0)
		return sequence(argv + 2);
	if (argc == 2 && strcmp(command, "wait") == 0)
		wait_for_signal();
	for (size_t i = 0; argc == 3 && i < sizeof(benches) / sizeof(benches[0]); i++)
		if (strcmp(command, benches[i].name) == 0)
			return bench(argv[2], benches[i].call);
	if (argc == 5 && strcmp(command, "storm") == 0)
		return storm(atol(argv[2]), atol(argv[3]), atol(argv[4]));
	if (argc == 2 && strcmp(command, "--hold") == 0)
		return hold(false);
	if (argc == 2 && strcmp(command, "--hold-nested") == 0)
		return hold(true);
	if (argc != 2)
		return usage(stderr);
	return run(command);
}
