// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/mman.h>

static int map(void)
{
	for (int i = 0; i < 500; i++) {
		size_t length = (size_t)(i % 64 + 1) * 65536;
		char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(memory != MAP_FAILED, "map memory");
		memory[length - 1] = 1;
		must(mprotect(memory, length / 2, PROT_READ) == 0, "protect memory");
		memory = mremap(memory, length / 2, length, MREMAP_MAYMOVE);
		must(memory != MAP_FAILED, "grow the mapping");
		must(munmap(memory, length) == 0, "unmap memory");
	}
	return SUCCEEDED;
}

PROGRAM(map, .asks = "cap_vm_enough_memory",
	.note = "each mapping asks CAP_SYS_ADMIN silently for the overcommit reserve; the answer changes nothing here");
