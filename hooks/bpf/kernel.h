/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel types that the recorder reads. Only the names matter: libbpf relocates each access at load time by the running kernel's type
 * information (CO-RE). Order and size of the fields need not be right here.
 */
#pragma once

#define __VMLINUX_H__ /* makes bpf_tracing.h use the kernel's names of registers */

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef _Bool bool;
#define true 1
#define false 0

/* include/uapi/linux/bpf.h */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};
enum {
	BPF_F_NO_PREALLOC = 1,
	BPF_F_MMAPABLE = 1 << 10,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
};
/*
 * A helper that Linux 5.10 does not have. The verifier skips code that depends on it. Code that needs task storage (Linux 5.12) depends on
 * this helper too.
 */
enum bpf_func_id {
	BPF_FUNC_task_pt_regs = 175, /* Linux 5.15 */
};

/* include/linux/sched.h */
#define PF_IO_WORKER 0x00000010
#define PF_USER_WORKER 0x00004000
#define PF_KTHREAD 0x00200000

/* include/linux/sched/signal.h */
#define SIGNAL_GROUP_EXIT 0x00000004

/* Contexts of cgroup programs (include/uapi/linux/bpf.h). They are no kernel types and are not relocated. */
struct bpf_cgroup_dev_ctx {
	u32 access_type; /* access << 16 | type */
	u32 major;
	u32 minor;
};

struct bpf_sock_addr {
	u32 user_family;
	u32 user_ip4;
	u32 user_ip6[4];
	u32 user_port; /* in network byte order */
};

struct bpf_sock {
	u32 bound_dev_if;
	u32 family;
	u32 type;
	u32 protocol;
};

struct bpf_sysctl {
	u32 write;
	u32 file_pos;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

/* Before Linux 6.3 two 32-bit words, which are the same bytes on a little-endian machine. The programs only take its address. */
typedef struct {
	u64 val;
} kernel_cap_t;

typedef struct {
	int counter;
} atomic_t;

struct ns_common {
	unsigned int inum;
};

struct uid_gid_extent {
	u32 first;
	u32 lower_first;
	u32 count;
};

struct uid_gid_map {
	u32 nr_extents;
	struct uid_gid_extent extent[5];
};

struct user_namespace {
	struct uid_gid_map uid_map;
	struct uid_gid_map gid_map;
	struct user_namespace *parent;
	int level;
	kuid_t owner;
	struct ns_common ns;
};

struct group_info;
struct key;

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t suid;
	kgid_t sgid;
	kuid_t euid;
	kgid_t egid;
	unsigned int securebits;
	kernel_cap_t cap_inheritable;
	kernel_cap_t cap_permitted;
	kernel_cap_t cap_effective;
	kernel_cap_t cap_bset;
	kernel_cap_t cap_ambient;
	struct user_namespace *user_ns;
	struct group_info *group_info;
	struct key *session_keyring;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct task_struct *child_reaper;
	struct pid_namespace *parent;
};

struct nsproxy {
	struct pid_namespace *pid_ns_for_children;
	struct mnt_namespace *mnt_ns;
};

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct super_block {
	unsigned int s_dev;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
	s64 i_ctime_sec;
	u32 i_ctime_nsec;
};

/* Linux 6.6 to 6.10, and Linux before 6.6. */
struct inode___timespec {
	struct timespec64 __i_ctime;
};

struct inode___public {
	struct timespec64 i_ctime;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct mempolicy;

struct vfsmount {
	int mnt_flags;
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct mm_struct {
	struct file *exe_file;
};

struct fdtable {
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
};

struct thread_info {
	unsigned long flags;
#if defined(__TARGET_ARCH_x86)
	u32 status;
#endif
};

struct task_struct {
	struct thread_info thread_info;
	void *stack;
	unsigned int flags;
	int pid;
	int tgid;
	int exit_code;
	unsigned long nvcsw, nivcsw;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	const struct cred *real_cred;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct mempolicy *mempolicy;
};

/* A record of the event cap_capable (include/trace/events/capability.h). */
struct trace_event_raw_cap_capable {
	const struct cred *cred;
	struct user_namespace *target_ns;
	int cap;
	int ret;
};

struct linux_binprm {
	struct file *file;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bx;
	unsigned long cx;
	unsigned long ax;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long r8;
	unsigned long r10;
	unsigned long orig_ax;
	unsigned long sp;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 sp;
	u64 orig_x0;
	s32 syscallno;
};

struct user_pt_regs {
	u64 regs[31];
	u64 sp;
};
#else
#error "this architecture's system call registers are not written down here yet"
#endif

#pragma clang attribute pop

/* System calls whose arguments the recorder reads (include/uapi/asm/unistd_64.h, include/uapi/asm-generic/unistd.h). */
#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x0002 /* arch/x86/include/asm/thread_info.h */
enum {
	SYS_open = 2,
	SYS_access = 21,
	SYS_execve = 59,
	SYS_creat = 85,
	SYS_chmod = 90,
	SYS_fchmod = 91,
	SYS_setuid = 105,
	SYS_setgid = 106,
	SYS_setresuid = 117,
	SYS_setresgid = 119,
	SYS_sendmsg = 46,
	SYS_setsockopt = 54,
	SYS_capset = 126,
	SYS_prctl = 157,
	SYS_mount = 165,
	SYS_mq_open = 240,
	SYS_setxattr = 188,
	SYS_lsetxattr = 189,
	SYS_fsetxattr = 190,
	SYS_perf_event_open = 298,
	SYS_fanotify_init = 300,
	SYS_fsopen = 430,
	SYS_openat = 257,
	SYS_fchmodat = 268,
	SYS_faccessat = 269,
	SYS_execveat = 322,
	SYS_openat2 = 437,
	SYS_faccessat2 = 439,
	SYS_fchmodat2 = 452,
	COMPAT_execve = 11,
	COMPAT_access = 33,
	COMPAT_faccessat = 307,
	COMPAT_execveat = 358,
};
#else
#define TIF_32BIT 22 /* arch/arm64/include/asm/thread_info.h */
enum {
	SYS_faccessat = 48,
	SYS_fchmod = 52,
	SYS_fchmodat = 53,
	SYS_openat = 56,
	SYS_setxattr = 5,
	SYS_lsetxattr = 6,
	SYS_fsetxattr = 7,
	SYS_mount = 40,
	SYS_capset = 91,
	SYS_prctl = 167,
	SYS_mq_open = 180,
	SYS_setsockopt = 208,
	SYS_sendmsg = 211,
	SYS_perf_event_open = 241,
	SYS_fanotify_init = 262,
	SYS_fsopen = 430,
	SYS_setgid = 144,
	SYS_setuid = 146,
	SYS_setresuid = 147,
	SYS_setresgid = 149,
	SYS_execve = 221,
	SYS_execveat = 281,
	SYS_openat2 = 437,
	SYS_faccessat2 = 439,
	SYS_fchmodat2 = 452,
	SYS_open = -2, /* arm64 does not have these calls */
	SYS_access = -2,
	SYS_creat = -2,
	SYS_chmod = -2,
	COMPAT_execve = 11,
	COMPAT_access = 33,
	COMPAT_faccessat = 334,
	COMPAT_execveat = 387,
};
#endif
