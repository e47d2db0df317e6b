// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/statvfs.h>
#include <sys/xattr.h>

#define FILE_WITH_CAPABILITY OTHER "/file-capability"

static int execute(void)
{
	execl(FILE_WITH_CAPABILITY, "corpus", "noop", (char *)NULL);
	return verdict("execute a file with cap_net_raw=ep", -1);
}

// Writes a file's capability, executes the file, and takes the capability away again: nothing is there to be read afterwards.
static int execute_and_clear(void)
{
	struct statvfs system;
	char value[64];
	close(other_object(FILE_WITH_CAPABILITY, O_PATH));
	ssize_t length = getxattr(FILE_WITH_CAPABILITY, "security.capability", value, sizeof value);
	if (length < 0)
		return skip(FILE_WITH_CAPABILITY " has lost its file capability");
	must(statvfs(OTHER, &system) == 0, "stat the file system of " OTHER);
	if (system.f_flag & ST_NOSUID || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return skip("file capabilities have no effect here");
	int status = verdict("write a file capability", setxattr(FILE_WITH_CAPABILITY, "security.capability", value, (size_t)length, 0));
	if (status == SUCCEEDED)
		status = in_child(execute);
	if (status == SUCCEEDED)
		status = verdict("remove a file capability", removexattr(FILE_WITH_CAPABILITY, "security.capability"));
	return status;
}

PROGRAM(execute_and_clear, .capabilities = "CAP_NET_RAW CAP_SETFCAP", .asks = "cap_convert_nscap; bprm_caps_from_vfs_caps (compares with the bounding set)",
	.ebpf_blind = true, .needs = FILE_WITH_CAPABILITY " with its attribute;no_new_privs off",
	.note = "what is read of a file when the container has ended is not what it had when it was executed");
