// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int follow_map_file(void)
{
	char line[4096], path[96];
	unsigned long start, end;
	FILE *maps = fopen("/proc/self/maps", "re");
	must(maps && fgets(line, sizeof line, maps) && sscanf(line, "%lx-%lx", &start, &end) == 2, "read /proc/self/maps");
	fclose(maps);
	snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", start, end);
	return verdict("follow a link in /proc/self/map_files", open(path, O_RDONLY | O_CLOEXEC));
}

PROGRAM(follow_map_file, .capabilities = "CAP_CHECKPOINT_RESTORE", .alternatives = "CAP_CHECKPOINT_RESTORE:CAP_SYS_ADMIN",
	.asks = "proc_map_files_get_link, checkpoint_restore_ns_capable", .initial = true, .needs = "CONFIG_CHECKPOINT_RESTORE",
	.note = "the executable's own mapping");
