// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/mount.h>

#define LAYERS "lowerdir=" OTHER ",upperdir=upper,workdir=work"

// Mounts overlayfs and changes another user's file through it, which is copied to the upper layer.
static int write_through_own_overlay(void)
{
	char directory[] = "/tmp/overlay-XXXXXX";
	close(other_object(OTHER "/open", O_PATH));
	must(mkdtemp(directory) && chdir(directory) == 0, "create a directory");
	must(mkdir("upper", 0755) == 0 && mkdir("work", 0755) == 0 && mkdir("merged", 0755) == 0, "create layers");
	int result = mount("corpus", "merged", "overlay", 0, LAYERS);
	if (result < 0 && (errno == ENODEV || errno == EINVAL))
		return skip("no overlayfs, or not with these layers");
	int status = verdict("mount overlayfs", result);
	if (status != SUCCEEDED)
		return status;
	int fd = open("merged/open", O_WRONLY | O_APPEND | O_CLOEXEC);
	status = verdict("open a file of the lower layer for writing", fd);
	if (status == SUCCEEDED)
		status = verdict("write to it", write(fd, "x", 1));
	if (fd >= 0)
		close(fd);
	must(umount2("merged", MNT_DETACH) == 0, "unmount");
	return status;
}

PROGRAM(write_through_own_overlay, .capabilities = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_SYS_ADMIN", .also_asked = "CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID",
	.asks = "ovl_workdir_create; ovl_set_attr, with the credentials of the mounter, which is the program", .initial = true, .selinux_blind = true,
	.needs = "overlayfs;" OTHER "/open", .note = "overlayfs works with its mounter's credentials: here they are the container's own");
