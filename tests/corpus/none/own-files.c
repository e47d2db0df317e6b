// SPDX-License-Identifier: Apache-2.0

#include "corpus.h"

#include <sys/xattr.h>

static int own_files(void)
{
	char directory[] = "/tmp/own-XXXXXX";
	struct stat file;
	struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	must(mkdtemp(directory), "create a directory");
	must(chdir(directory) == 0, "enter the directory");
	int fd = open("a", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, "x", 1) == 1 && fstat(fd, &file) == 0, "create a file");
	must(chmod("a", 0640) == 0, "change the mode of an own file");
	must(chown("a", getuid(), file.st_gid) == 0, "change the owner to itself");
	must(utimensat(AT_FDCWD, "a", times, 0) == 0, "set the times of an own file");
	must(link("a", "b") == 0 && symlink("b", "c") == 0, "link an own file");
	must(rename("b", "d") == 0, "rename an own file");
	must(mkdir("e", 0700) == 0 && mkfifo("f", 0600) == 0, "create a directory and a pipe");
	must(mknod("g", S_IFREG | 0600, 0) == 0, "create a file with mknod");
	must(open("a", O_RDONLY | O_NOATIME | O_CLOEXEC) >= 0, "open an own file without marking it as read");
	must(unlink("a") == 0 && unlink("c") == 0 && unlink("d") == 0 && unlink("f") == 0 && unlink("g") == 0 && rmdir("e") == 0, "remove");
	must(fcntl(fd, F_SETLEASE, F_WRLCK) == 0 || errno == EAGAIN || errno == EINVAL, "take a lease on an own file");
	must(rmdir(directory) == 0, "remove the directory");
	return SUCCEEDED;
}

PROGRAM(own_files, .note = "everything that an owner may do with files");
