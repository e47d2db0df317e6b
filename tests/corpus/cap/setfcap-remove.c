// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/utsname.h>
#include <sys/xattr.h>

// Before Linux 6.10 security_inode_removexattr() was content with the first security module's answer, and that of BPF, where it is active, is yes.
static int may_be_answered_by_bpf(void)
{
	struct utsname names;
	int major, minor;
	must(uname(&names) == 0 && sscanf(names.release, "%d.%d", &major, &minor) == 2, "read the kernel's release");
	return major < 6 || (major == 6 && minor < 10);
}

static int remove_file_capability(void)
{
	if (may_be_answered_by_bpf())
		return skip("before Linux 6.10 the BPF security module may answer instead of the capability");
	return harmless_verdict("take a capability from a file that has none", fremovexattr(own_file(), "security.capability"), ENODATA);
}

PROGRAM(remove_file_capability, .capabilities = "CAP_SETFCAP", .asks = "cap_inode_removexattr", .needs = "Linux 6.10", .note = "the capability is asked before the attribute is looked for");
