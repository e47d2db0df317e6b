// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <linux/io_uring.h>
#include <sys/mman.h>

// Opens another user's file on overlayfs with credentials that were registered with a ring before the process dropped its own.
static int open_as_before(void)
{
	struct io_uring_params parameters = {0};
	if (access("/overlay/secret", F_OK) != 0)
		return skip("no /overlay/secret in the container");
	int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
	if (ring < 0)
		return skip("io_uring is not in the kernel, or switched off");
	int personality = (int)syscall(SYS_io_uring_register, ring, IORING_REGISTER_PERSONALITY, NULL, 0);
	must(personality > 0, "register credentials");
	must(set_capabilities(0, 0, 0) == 0, "drop all capabilities");
	char *submission = mmap(NULL, parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	char *completion = mmap(NULL, parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *entry = mmap(NULL, parameters.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	must(submission != MAP_FAILED && completion != MAP_FAILED && entry != MAP_FAILED, "map the rings");
	*entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)"/overlay/secret",
				       .open_flags = O_RDONLY, .personality = (uint16_t)personality};
	*(uint32_t *)(submission + parameters.sq_off.array) = 0;
	__atomic_store_n((uint32_t *)(submission + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "submit to the ring");
	struct io_uring_cqe *result = (void *)(completion + parameters.cq_off.cqes);
	errno = result->res < 0 ? -result->res : 0;
	return verdict("open another user's file with registered credentials", result->res);
}

PROGRAM(open_as_before, .capabilities = "CAP_DAC_READ_SEARCH", .alternatives = "CAP_DAC_READ_SEARCH:CAP_DAC_OVERRIDE", .also_asked = "CAP_IPC_LOCK CAP_SETPCAP",
	.asks = "generic_permission in ovl_permission", .needs = "io_uring;/overlay/secret: another user's on overlayfs;under SELinux: io_uring", .selinux_blind = true,
	.note = "of the two questions that overlayfs asks, the outer one is the program's own");
