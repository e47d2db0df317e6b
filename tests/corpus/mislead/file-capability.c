// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/statvfs.h>
#include <sys/xattr.h>

static int execute_with_capability(void)
{
	char value[64];
	struct statvfs system;
	close(other_object(OTHER "/file-capability", O_PATH));
	if (getxattr(OTHER "/file-capability", "security.capability", value, sizeof value) < 0)
		return skip(OTHER "/file-capability has lost its file capability");
	must(statvfs(OTHER, &system) == 0, "stat the file system of " OTHER);
	if (system.f_flag & ST_NOSUID)
		return skip(OTHER " is mounted nosuid: file capabilities have no effect");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return skip("no_new_privs is set: file capabilities have no effect");
	execl(OTHER "/file-capability", "corpus", "noop", (char *)NULL);
	return verdict("execute a file with cap_net_raw=ep", -1);
}

PROGRAM(execute_with_capability, .capabilities = "CAP_NET_RAW", .asks = "bprm_caps_from_vfs_caps (compares with the bounding set)", .ebpf_blind = true,
	.needs = OTHER "/file-capability with its attribute;no_new_privs off",
	.note = "execve is refused where the bounding set lacks it, though the program never uses it, and nothing is asked");
