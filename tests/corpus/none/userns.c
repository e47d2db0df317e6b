// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/mount.h>

static int nested_namespace(void)
{
	char directory[] = "/tmp/userns-XXXXXX";
	must(mkdtemp(directory), "create a directory");
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS) != 0) {
		int error = errno;
		rmdir(directory);
		if (error == EPERM || error == ENOSPC || error == EINVAL || error == EACCES)
			return skip("the machine lets nobody create user namespaces without privilege");
		errno = error;
		must(false, "create a user namespace");
	}
	must(mount("corpus", directory, "tmpfs", 0, NULL) == 0, "mount in the new namespace");
	must(sethostname("corpus", 6) == 0, "set the host name in the new namespace");
	must(umount2(directory, MNT_DETACH) == 0, "unmount");
	rmdir(directory);
	return SUCCEEDED;
}

PROGRAM(nested_namespace, .also_asked = "CAP_SYS_ADMIN", .asks = "unshare_nsproxy_namespaces; may_mount; __do_sys_sethostname",
	.needs = "unprivileged user namespaces", .note = "asked of the nested namespace, whose creator holds everything there whatever it holds outside");
