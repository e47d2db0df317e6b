// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <dirent.h>

// A directory on overlayfs: the root file system of most containers, or one mounted at this place.
#define LAYERS "/overlay"

static int use_overlay(void)
{
	struct stat entry;
	char buffer[64];
	if (chdir(LAYERS) != 0)
		return skip("no " LAYERS " in the container");
	DIR *directory = opendir(".");
	must(directory, "list the directory");
	while (readdir(directory))
		;
	closedir(directory);
	must(stat("file", &entry) == 0, "stat a file of the lower layer");
	if (entry.st_uid != geteuid())
		return skip(LAYERS "/file belongs to somebody else");
	int fd = open("file", O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && read(fd, buffer, sizeof buffer) > 0, "read a file of the lower layer");
	close(fd);
	fd = open("file", O_WRONLY | O_APPEND | O_CLOEXEC); // copies it up
	if (fd < 0 && errno == EROFS)
		return skip(LAYERS " is read-only");
	must(fd >= 0 && write(fd, "x", 1) == 1, "write to a file of the lower layer");
	close(fd);
	must(chmod("other", 0640) == 0, "change the mode of a file of the lower layer");
	must(rename("other", "renamed") == 0, "rename a file of the lower layer");
	must(unlink("renamed") == 0, "remove a file of the lower layer");
	must(mkdir("new", 0700) == 0 && rmdir("new") == 0, "create and remove a directory");
	fd = open("new", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, "x", 1) == 1 && unlink("new") == 0, "create, write and remove a file");
	return SUCCEEDED;
}

PROGRAM(use_overlay, .also_asked = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_SYS_ADMIN", .asks = "ovl_copy_up_one and others, with the credentials of whoever mounted the file system",
	.needs = "/overlay: a writable directory on overlayfs with own files named file and other in a lower layer",
	.note = "hundreds of questions with exchanged credentials, none of them the program's");
