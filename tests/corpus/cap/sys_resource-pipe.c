// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int enlarge_pipe(void)
{
	char text[16] = "";
	int ends[2], fd = open("/proc/sys/fs/pipe-max-size", O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "read fs.pipe-max-size");
	must(pipe2(ends, O_CLOEXEC) == 0, "create a pipe");
	return verdict("enlarge a pipe beyond fs.pipe-max-size", fcntl(ends[0], F_SETPIPE_SZ, atoi(text) + 1));
}

PROGRAM(enlarge_pipe, .capabilities = "CAP_SYS_RESOURCE", .asks = "pipe_set_size", .initial = true, .note = "a pipe of its own");
