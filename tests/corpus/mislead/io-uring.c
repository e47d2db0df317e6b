// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/io_uring.h>
#include <sys/mman.h>

// Opens a file of mode 0000 for writing in a kernel worker of the ring, not in the process itself.
static int open_in_worker(void)
{
	struct io_uring_params parameters = {0};
	char path[64];
	int file = own_file();
	must(fchmod(file, 0) == 0, "change the mode");
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	if (ring < 0)
		return skip("io_uring is not in the kernel, or switched off");
	char *submission = mmap(NULL, parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	char *completion = mmap(NULL, parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *entry = mmap(NULL, parameters.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	must(submission != MAP_FAILED && completion != MAP_FAILED && entry != MAP_FAILED, "map the rings");
	*entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .flags = IOSQE_ASYNC, .fd = AT_FDCWD,
				       .addr = (uintptr_t)path, .open_flags = O_WRONLY};
	*(uint32_t *)(submission + parameters.sq_off.array) = 0;
	__atomic_store_n((uint32_t *)(submission + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "submit to the ring");
	struct io_uring_cqe *result = (void *)(completion + parameters.cq_off.cqes);
	errno = result->res < 0 ? -result->res : 0;
	return verdict("open a file of mode 0000 for writing through io_uring", result->res);
}

PROGRAM(open_in_worker, .capabilities = "CAP_DAC_OVERRIDE", .also_asked = "CAP_IPC_LOCK", .asks = "generic_permission; io_uring_create", .needs = "io_uring;under SELinux: io_uring",
	.note = "asked in a kernel worker thread (iou-wrk) with the submitter's credentials; CAP_IPC_LOCK only decides who is charged for the ring's memory");
