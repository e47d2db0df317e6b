/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Kernel types that `why` reads in addition to those of kernel.h. libbpf ignores the part of a name after `___`.
 */
#pragma once

enum {
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

#define AUDIT_AVC 1400 /* include/uapi/linux/audit.h */

#define WHY_LIMITS 16 /* RLIM_NLIMITS */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock_fprog_kern {
	u16 len;
	void *filter;
};

struct bpf_prog {
	struct sock_fprog_kern *orig_prog;
};

struct seccomp_filter {
	struct seccomp_filter *prev;
	struct bpf_prog *prog;
};

struct seccomp {
	int mode;
	struct seccomp_filter *filter;
};

struct sk_buff {
	unsigned int len;
	unsigned char *data;
};

struct audit_buffer {
	struct sk_buff *skb;
};

struct path___why {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct fs_struct___why {
	struct path___why root, pwd;
};

struct group_info___why {
	int ngroups;
	kgid_t gid[];
};

struct cred___why {
	kuid_t fsuid;
	kgid_t fsgid;
	struct group_info___why *group_info;
};

struct task_struct___why {
	struct fs_struct___why *fs;
	unsigned long atomic_flags;
	struct seccomp seccomp;
};

struct inode___why {
	u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
};

struct rlimit {
	u64 rlim_cur, rlim_max;
};

struct signal_struct___why {
	struct rlimit rlim[WHY_LIMITS];
};

struct net___why {
	struct ns_common ns;
};

struct nsproxy___why {
	struct net___why *net_ns;
};

struct fdtable___why {
	unsigned int max_fds;
	struct file **fd;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs___why {
	unsigned long r9;
	unsigned long ip;
};
#else
struct pt_regs___why {
	u64 regs[31];
	u64 pc;
};
#endif

#pragma clang attribute pop

#define PFA_NO_NEW_PRIVS 0 /* include/linux/sched.h */
#define MNT_NOSUID 1 /* include/linux/mount.h */
#define S_ISUID 04000
#define S_ISGID 02000
#define S_IXGRP 00010
#define AT_FDCWD -100
#define AF_UNIX 1

#if defined(__TARGET_ARCH_x86)
enum { SYS_sendto = 44, SYS_pivot_root = 155, SYS_unshare = 272, SYS_setns = 308, SYS_seccomp = 317, SYS_landlock_restrict_self = 446 };
#else
enum { SYS_sendto = 206, SYS_pivot_root = 41, SYS_unshare = 97, SYS_setns = 268, SYS_seccomp = 277, SYS_landlock_restrict_self = 446 };
#endif
