// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/mman.h>

static int map_zero(void)
{
	char limit[16] = "";
	int fd = open("/proc/sys/vm/mmap_min_addr", O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && read(fd, limit, sizeof limit - 1) > 0, "read vm.mmap_min_addr");
	if (atoi(limit) == 0)
		return skip("vm.mmap_min_addr is 0");
	void *memory = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return verdict("map the page at address 0", memory == MAP_FAILED ? -1 : 0);
}

PROGRAM(map_zero, .capabilities = "CAP_SYS_RAWIO", .asks = "cap_mmap_addr", .initial = true, .selinux_blind = true,
	.needs = "vm.mmap_min_addr above 0;under SELinux: mmap_zero", .note = "cap_mmap_addr calls cap_capable itself: the other security modules are not asked");
