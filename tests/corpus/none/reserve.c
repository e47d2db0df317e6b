// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/mman.h>

static int reserve(void)
{
	size_t length = (size_t)1 << 36, page = 1 << 21;
	char *heap = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must(heap != MAP_FAILED, "reserve address space");
	for (size_t at = 0; at < 64 * page; at += page) {
		must(mmap(heap + at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED, "commit memory");
		heap[at] = 1;
		must(madvise(heap + at, page, MADV_DONTNEED) == 0, "give memory back");
	}
	return SUCCEEDED;
}

PROGRAM(reserve, .asks = "cap_vm_enough_memory", .note = "reserve much and commit little, as Java virtual machines do");
