/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The system calls that are given a text or a socket address: the number of that argument, counted from 1. A table and no switch, because the
 * verifier would follow each case. A test holds numbers against names.
 */
#pragma once

#define OBJECT_CALLS 512 /* a power of two, above all numbers below */
#define OBJECT_ARGUMENT 7
#define OBJECT_ADDRESS 8 /* the argument is a socket address */

static const u8 object_calls[OBJECT_CALLS] = {
#if defined(__TARGET_ARCH_x86) /* include/uapi/asm/unistd_64.h */
	[2] = 1, /* open */
	[4] = 1, /* stat */
	[6] = 1, /* lstat */
	[21] = 1, /* access */
	[42] = OBJECT_ADDRESS | 2, /* connect */
	[49] = OBJECT_ADDRESS | 2, /* bind */
	[59] = 1, /* execve */
	[76] = 1, /* truncate */
	[80] = 1, /* chdir */
	[82] = 1, /* rename */
	[83] = 1, /* mkdir */
	[84] = 1, /* rmdir */
	[85] = 1, /* creat */
	[86] = 1, /* link */
	[87] = 1, /* unlink */
	[88] = 2, /* symlink */
	[89] = 1, /* readlink */
	[90] = 1, /* chmod */
	[92] = 1, /* chown */
	[94] = 1, /* lchown */
	[132] = 1, /* utime */
	[133] = 1, /* mknod */
	[137] = 1, /* statfs */
	[155] = 1, /* pivot_root */
	[161] = 1, /* chroot */
	[163] = 1, /* acct */
	[165] = 2, /* mount */
	[166] = 1, /* umount2 */
	[167] = 1, /* swapon */
	[168] = 1, /* swapoff */
	[179] = 2, /* quotactl */
	[188] = 1, /* setxattr */
	[189] = 1, /* lsetxattr */
	[191] = 1, /* getxattr */
	[192] = 1, /* lgetxattr */
	[194] = 1, /* listxattr */
	[195] = 1, /* llistxattr */
	[197] = 1, /* removexattr */
	[198] = 1, /* lremovexattr */
	[235] = 1, /* utimes */
	[254] = 2, /* inotify_add_watch */
	[257] = 2, /* openat */
	[258] = 2, /* mkdirat */
	[259] = 2, /* mknodat */
	[260] = 2, /* fchownat */
	[261] = 2, /* futimesat */
	[262] = 2, /* newfstatat */
	[263] = 2, /* unlinkat */
	[264] = 2, /* renameat */
	[265] = 2, /* linkat */
	[266] = 3, /* symlinkat */
	[267] = 2, /* readlinkat */
	[268] = 2, /* fchmodat */
	[269] = 2, /* faccessat */
	[280] = 2, /* utimensat */
	[303] = 2, /* name_to_handle_at */
	[316] = 2, /* renameat2 */
	[322] = 2, /* execveat */
	[332] = 2, /* statx */
	[428] = 2, /* open_tree */
	[429] = 4, /* move_mount */
	[430] = 1, /* fsopen */
	[433] = 2, /* fspick */
	[437] = 2, /* openat2 */
	[439] = 2, /* faccessat2 */
	[442] = 2, /* mount_setattr */
	[452] = 2, /* fchmodat2 */
#else /* include/uapi/asm-generic/unistd.h */
	[5] = 1, /* setxattr */
	[6] = 1, /* lsetxattr */
	[8] = 1, /* getxattr */
	[9] = 1, /* lgetxattr */
	[11] = 1, /* listxattr */
	[12] = 1, /* llistxattr */
	[14] = 1, /* removexattr */
	[15] = 1, /* lremovexattr */
	[27] = 2, /* inotify_add_watch */
	[33] = 2, /* mknodat */
	[34] = 2, /* mkdirat */
	[35] = 2, /* unlinkat */
	[36] = 3, /* symlinkat */
	[37] = 2, /* linkat */
	[38] = 2, /* renameat */
	[39] = 1, /* umount2 */
	[40] = 2, /* mount */
	[41] = 1, /* pivot_root */
	[43] = 1, /* statfs */
	[45] = 1, /* truncate */
	[48] = 2, /* faccessat */
	[49] = 1, /* chdir */
	[51] = 1, /* chroot */
	[53] = 2, /* fchmodat */
	[54] = 2, /* fchownat */
	[56] = 2, /* openat */
	[60] = 2, /* quotactl */
	[78] = 2, /* readlinkat */
	[79] = 2, /* fstatat */
	[88] = 2, /* utimensat */
	[89] = 1, /* acct */
	[200] = OBJECT_ADDRESS | 2, /* bind */
	[203] = OBJECT_ADDRESS | 2, /* connect */
	[221] = 1, /* execve */
	[224] = 1, /* swapon */
	[225] = 1, /* swapoff */
	[264] = 2, /* name_to_handle_at */
	[276] = 2, /* renameat2 */
	[281] = 2, /* execveat */
	[291] = 2, /* statx */
	[428] = 2, /* open_tree */
	[429] = 4, /* move_mount */
	[430] = 1, /* fsopen */
	[433] = 2, /* fspick */
	[437] = 2, /* openat2 */
	[439] = 2, /* faccessat2 */
	[442] = 2, /* mount_setattr */
	[452] = 2, /* fchmodat2 */
#endif
};
