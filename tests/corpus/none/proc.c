// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <dirent.h>

static void read_whole(const char *path)
{
	char buffer[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; // masked, or not in this kernel
	while (read(fd, buffer, sizeof buffer) > 0)
		;
	close(fd);
}

static int read_proc(void)
{
	static const char *const files[] = {
		"/proc/self/status", "/proc/self/stat", "/proc/self/maps", "/proc/self/smaps", "/proc/self/limits", "/proc/self/mountinfo",
		"/proc/self/cgroup", "/proc/self/environ", "/proc/self/cmdline", "/proc/1/stat", "/proc/1/cmdline", "/proc/self/net/tcp",
		"/proc/self/net/unix", "/proc/self/net/dev", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg", "/proc/uptime",
		"/proc/version", "/proc/filesystems", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/hostname", "/proc/sys/kernel/shmmax",
		"/proc/sys/kernel/msg_next_id", "/proc/sys/kernel/random/boot_id", "/proc/sys/vm/overcommit_memory", "/proc/sys/fs/file-max",
		"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/core/somaxconn", "/proc/sys/user/max_user_namespaces",
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		read_whole(files[i]);
	DIR *proc = opendir("/proc");
	must(proc, "list /proc");
	for (struct dirent *entry; (entry = readdir(proc));) {
		char path[300];
		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			read_whole(path);
	}
	closedir(proc);
	return SUCCEEDED;
}

PROGRAM(read_proc, .also_asked = "CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_RESOURCE CAP_CHECKPOINT_RESTORE",
	.asks = "net_ctl_permissions; pid_table_root_permissions; set_permissions; ipc_permissions",
	.note = "what ps, top, ss and cat read: the sysctls of a namespace are asked for on every open, reading needs none");
