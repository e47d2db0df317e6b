// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <mqueue.h>

static int large_queue(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 11, .mq_msgsize = 64};
	struct rlimit limit;
	char text[16] = "";
	int fd = open("/proc/sys/fs/mqueue/msg_max", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return skip("the kernel has no POSIX message queues");
	must(read(fd, text, sizeof text - 1) > 0, "read fs.mqueue.msg_max");
	attributes.mq_maxmsg = atoi(text) + 1;
	must(getrlimit(RLIMIT_MSGQUEUE, &limit) == 0, "read a limit");
	mqd_t queue = mq_open("/corpus", O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
	int error = errno;
	mq_unlink("/corpus");
	if (queue < 0 && error == EINVAL) // what this check answers instead of EPERM
		error = EPERM;
	errno = error;
	return verdict("create a message queue beyond fs.mqueue.msg_max", queue);
}

PROGRAM(large_queue, .capabilities = "CAP_SYS_RESOURCE", .asks = "mq_attr_ok", .initial = true, .needs = "CONFIG_POSIX_MQUEUE",
	.note = "refused with EINVAL rather than EPERM");
