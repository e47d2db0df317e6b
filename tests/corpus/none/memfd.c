// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

static void use(int fd)
{
	must(fd >= 0 && ftruncate(fd, 1 << 20) == 0, "create shared memory");
	char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED, "map shared memory");
	memset(memory, 1, 1 << 20);
	munmap(memory, 1 << 20);
	close(fd);
}

static int shared_memory(void)
{
	use(memfd_create("corpus", MFD_CLOEXEC));
	use(shm_open("/corpus-shared", O_CREAT | O_EXCL | O_RDWR, 0600));
	must(shm_unlink("/corpus-shared") == 0, "remove the shared memory object");
	int id = shmget(IPC_PRIVATE, 1 << 20, 0600);
	must(id >= 0, "create a segment");
	char *memory = shmat(id, NULL, 0);
	must(memory != (void *)-1, "attach the segment");
	memset(memory, 1, 1 << 20);
	must(shmdt(memory) == 0 && shmctl(id, IPC_RMID, NULL) == 0, "remove the segment");
	return SUCCEEDED;
}

PROGRAM(shared_memory, .asks = "cap_vm_enough_memory", .needs = "writable /dev/shm", .note = "shared memory is accounted in shmem with the same silent question");
