// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/ipc.h>
#include <sys/msg.h>

static int send_forbidden(void)
{
	struct { long type; char text[1]; } message = {1, "x"};
	int id = msgget(IPC_PRIVATE, 0); // without any permission bit, not even for the owner
	must(id >= 0, "create a message queue");
	int status = verdict("send to a message queue of mode 0000", msgsnd(id, &message, 1, IPC_NOWAIT));
	must(msgctl(id, IPC_RMID, NULL) == 0, "remove the message queue");
	return status;
}

PROGRAM(send_forbidden, .capabilities = "CAP_IPC_OWNER", .asks = "ipcperms", .note = "System V IPC's counterpart of CAP_DAC_OVERRIDE");
