// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

static int open_handle(void)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} file = {.handle.handle_bytes = MAX_HANDLE_SZ};
	int mount_id, tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(tmp >= 0, "open /tmp");
	if (name_to_handle_at(tmp, "", &file.handle, &mount_id, AT_EMPTY_PATH) != 0)
		return errno == EOPNOTSUPP ? skip("the file system of /tmp has no file handles") : verdict("get a file handle", -1);
	return verdict("open a file by its handle", open_by_handle_at(tmp, &file.handle, O_PATH));
}

PROGRAM(open_handle, .capabilities = "CAP_DAC_READ_SEARCH", .asks = "may_decode_fh", .initial = true,
	.note = "CAP_DAC_OVERRIDE does not help here");
