//! Plain commands.

use super::{Expected, check, read};
use crate::Test;
use crate::environment::Environment;
use crate::runner::{Outcome, Passed};
use capprof_profile::why::report::RefusalReport;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// A shell script. Its status is 77 if this machine cannot run it.
pub(super) struct Case {
    pub(super) name: &'static str,
    script: &'static str,
    pub(super) expected: Expected,
}

pub(super) const fn case(
    name: &'static str,
    script: &'static str,
    (calls, cause, holds): (&'static str, &'static str, &'static str),
) -> Case {
    Case {
        name,
        script,
        expected: Expected {
            calls,
            cause,
            holds,
        },
    }
}

/// `$U` runs a command as a user without any privilege, `$V` as another such user, `without CAPABILITIES COMMAND` as root without these, `inside COMMAND`
/// in a mount namespace with an empty directory `m`. `call` makes a system call with perl, `filter NUMBER ACTION` sets a seccomp filter.
const PRELUDE: &str = r#"
PATH=/usr/sbin:/usr/bin:/sbin:/bin
U='setpriv --reuid 1234 --regid 1234 --clear-groups'
V='setpriv --reuid 1235 --regid 1235 --clear-groups'
mkdir -p m
without() { dropped=$1; shift; setpriv --bounding-set "$dropped" --inh-caps "$dropped" "$@"; }
filter() { perl -e '$f=pack("SCCL"x4,0x20,0,0,0,0x15,0,1,$ARGV[0],6,0,0,hex $ARGV[1],6,0,0,0x7fff0000);$p=pack("Sx6P",4,$f);
 syscall(157,38,1,0,0,0);syscall(157,22,2,$p)==0||exit 76;exec @ARGV[2..$#ARGV]' "$@"; }
sysctl_is() { test "$(cat /proc/sys/$1)" "$2" "$3" || exit 77; }
need() { for program; do command -v "$program" >/dev/null || exit 77; done; }
case $(uname -m) in x86_64) ;; *) exit 77;; esac
"#;

static FILES: [Case; 32] = [
    case(
        "mode_read",
        "echo x>f; chmod 600 f; $U cat f",
        ("openat", "file_mode", "0600, owner 0:0"),
    ),
    case(
        "mode_write",
        "echo x>f; chmod 644 f; $U dd if=/dev/null of=f",
        ("openat", "file_mode", "write"),
    ),
    case(
        "mode_create",
        "chmod 755 .; $U touch new",
        ("openat", "file_mode", "0755"),
    ),
    case(
        "mode_mkdir",
        "chmod 755 .; $U mkdir new",
        ("mkdir", "file_mode", "write"),
    ),
    case(
        "mode_remove",
        "chmod 755 .; touch f; $U rm -f f",
        ("unlinkat", "file_mode", "write"),
    ),
    case(
        "mode_rename",
        "chmod 755 .; touch f; $U mv f g",
        ("rename|renameat|renameat2", "file_mode", "write"),
    ),
    case(
        "mode_search",
        "mkdir -m 700 d; echo x>d/f; $U cat d/f",
        ("openat", "file_mode", "/d does not let it pass through"),
    ),
    case(
        "mode_list",
        "mkdir -m 711 d; $U ls d",
        ("openat", "file_mode", "read"),
    ),
    case(
        "mode_by_link",
        "mkdir -m 700 d; echo x>d/f; ln -s d/f l; $U cat l",
        ("openat", "file_mode", "/d does not let it pass through"),
    ),
    case(
        "mode_execute",
        "cp /bin/true t; chmod 700 t; $U env ./t",
        ("execve", "file_mode", "execute"),
    ),
    case(
        "mode_of_list",
        "need setfacl; echo x>f; chmod 644 f; setfacl -m u:1234:- f || exit 77; $U cat f",
        ("openat", "file_mode", "access control list"),
    ),
    case(
        "mode_of_sysctl",
        "$U dd if=/dev/null of=/proc/sys/kernel/ctrl-alt-del",
        ("openat", "file_mode", "0644, owner 0:0"),
    ),
    case(
        "mode_of_socket",
        "chmod 755 .; $U perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0);connect(S,sockaddr_un($ARGV[0]))||exit 1' \"$(perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0);bind(S,sockaddr_un(\"s\"));listen(S,1);chmod 0600,\"s\"'; echo $PWD/s)\"",
        ("connect", "file_mode", "0600"),
    ),
    case(
        "not_executable",
        "cp /bin/true t; chmod 644 t; env ./t",
        ("execve", "not_executable", "0644"),
    ),
    case(
        "executed_directory",
        "mkdir d; env ./d",
        ("execve", "not_executable", "not a regular file"),
    ),
    case(
        "interpreter_not_executable",
        "cp /bin/true i; chmod 644 i; printf '#!%s/i\\n' $PWD >s; chmod 755 s; env ./s",
        ("execve", "not_executable", "/i is not executable"),
    ),
    case(
        "noexec",
        "unshare -m sh -c 'mount -t tmpfs -o noexec t m; cp /bin/true m; env m/true'",
        ("execve", "no_exec", "/m"),
    ),
    case(
        "noexec_mapping",
        "unshare -m sh -c 'mount -t tmpfs -o noexec t m; cp /bin/true m; /lib64/ld-linux-x86-64.so.2 m/true'",
        ("mmap", "no_exec", "/m"),
    ),
    case(
        "nodev",
        "unshare -m sh -c 'mount -t tmpfs -o nodev t m; mknod m/n c 1 3; cat m/n'",
        ("openat", "no_dev", "/m"),
    ),
    case(
        "read_only_mount",
        "unshare -m sh -c 'mount --bind m m; mount -o remount,ro,bind m; touch m/f'",
        ("openat", "read_only", "read-only mount"),
    ),
    case(
        "read_only_mount_remove",
        "touch m/f; unshare -m sh -c 'mount --bind m m; mount -o remount,ro,bind m; rm m/f'",
        ("unlinkat", "read_only", "read-only mount"),
    ),
    case(
        "read_only_mount_mode",
        "touch m/f; unshare -m sh -c 'mount --bind m m; mount -o remount,ro,bind m; chmod 600 m/f'",
        ("fchmodat|fchmodat2|chmod", "read_only", "read-only mount"),
    ),
    case(
        "read_only_file_system",
        "unshare -m sh -c 'mount -t tmpfs -o ro t m; mkdir m/d'",
        ("mkdir", "read_only", "read-only file system"),
    ),
    case(
        "masked_path",
        "unshare -m sh -c 'mount -t tmpfs -o ro t /proc/tty && mkdir /proc/tty/d'",
        ("mkdir", "masked_path", "/proc/tty"),
    ),
    case(
        "immutable_write",
        "touch f; chattr +i f || exit 77; dd if=/dev/null of=f; s=$?; sleep 1; chattr -i f; exit $s",
        ("openat", "immutable", "/f is immutable"),
    ),
    case(
        "immutable_remove",
        "touch f; chattr +i f || exit 77; rm -f f; s=$?; sleep 1; chattr -i f; exit $s",
        ("unlinkat", "immutable", "/f is immutable"),
    ),
    case(
        "immutable_directory",
        "mkdir d; chattr +i d || exit 77; mkdir d/e; s=$?; sleep 1; chattr -i d; exit $s",
        ("mkdir", "immutable", "/d is immutable"),
    ),
    case(
        "append_only",
        "touch f; chattr +a f || exit 77; dd if=/dev/null of=f; s=$?; sleep 1; chattr -a f; exit $s",
        ("openat", "immutable", "append-only"),
    ),
    case(
        "owner_mode",
        "touch f; $U chmod 600 f",
        ("fchmodat|fchmodat2|chmod", "owner", "uid 0"),
    ),
    case(
        "owner_times",
        "touch f; chmod 666 f; $U touch -d 2020-01-01 f",
        ("utimensat", "owner", "uid 0"),
    ),
    case(
        "owner_sticky",
        "mkdir -m 1777 d; touch d/f; $U rm -f d/f",
        ("unlinkat", "owner", "sticky"),
    ),
    case(
        "owner_sticky_rename",
        "mkdir -m 1777 d; touch d/f; $U mv d/f d/g",
        ("rename|renameat|renameat2", "owner", "sticky"),
    ),
];

static OTHERS: [Case; 37] = [
    case(
        "capability_hostname",
        "unshare -u setpriv --bounding-set -sys_admin hostname why",
        (
            "sethostname",
            "capability",
            "CAP_SYS_ADMIN (set the host name)",
        ),
    ),
    case(
        "capability_mount",
        "unshare -m setpriv --bounding-set -sys_admin mount -t tmpfs t m",
        ("mount|fsopen", "capability", "CAP_SYS_ADMIN"),
    ),
    case(
        "capability_chroot",
        "without -sys_chroot chroot / /bin/true",
        ("chroot", "capability", "CAP_SYS_CHROOT"),
    ),
    case(
        "capability_chown",
        "touch f; $U chown 5 f",
        ("fchownat|chown", "capability", "CAP_CHOWN"),
    ),
    case(
        "capability_kill",
        "sleep 9 & p=$!; $U sh -c \"kill $p\"; s=$?; kill $p; exit $s",
        ("kill", "capability", "CAP_KILL"),
    ),
    case(
        "capability_mknod",
        "without -mknod mknod n c 1 3",
        ("mknod|mknodat", "capability", "CAP_MKNOD"),
    ),
    case(
        "capability_raw_socket",
        "$U perl -e 'socket(S,2,3,1)||exit 1'",
        ("socket", "capability", "CAP_NET_RAW"),
    ),
    case(
        "capability_ioctl",
        "need ip; unshare -n setpriv --bounding-set -net_admin perl -e 'socket(S,2,2,0);$r=pack(\"a16sx22\",\"lo\",1);ioctl(S,0x8914,$r)||exit 1'",
        ("ioctl", "capability", "CAP_NET_ADMIN"),
    ),
    case(
        "capability_netlink",
        "need ip; unshare -n setpriv --bounding-set -net_admin ip link set lo up",
        ("sendmsg|sendto", "capability", "CAP_NET_ADMIN"),
    ),
    case(
        "capability_setuid",
        "$U setpriv --reuid 0 true",
        ("setresuid", "capability", "CAP_SETUID"),
    ),
    case(
        "capability_setgroups",
        "$U setpriv --groups 0 true",
        ("setgroups", "capability", "CAP_SETGID"),
    ),
    case(
        "capability_ptrace",
        "sleep 9 & p=$!; $U perl -e 'syscall(101,16,$ARGV[0]+0,0,0)==0||exit 1' $p; s=$?; kill $p; exit $s",
        ("ptrace", "capability", "CAP_SYS_PTRACE"),
    ),
    case(
        "capability_other_process",
        "sleep 9 & p=$!; $U readlink /proc/$p/exe; s=$?; kill $p; exit $s",
        ("readlink", "capability", "CAP_SYS_PTRACE"),
    ),
    case(
        "capability_limit",
        "$U sh -c 'ulimit -l 8; ulimit -Hl 999'",
        ("prlimit64|setrlimit", "capability", "CAP_SYS_RESOURCE"),
    ),
    case(
        "capability_unshare",
        "without -sys_admin unshare -u true",
        ("unshare", "capability", "CAP_SYS_ADMIN"),
    ),
    case(
        "namespace_mknod",
        "unshare -Ur mknod n c 1 3",
        ("mknod|mknodat", "user_namespace", "CAP_MKNOD"),
    ),
    case(
        "namespace_limit",
        "unshare -Ur sh -c 'ulimit -l 8; ulimit -Hl 999'",
        ("prlimit64|setrlimit", "user_namespace", "CAP_SYS_RESOURCE"),
    ),
    case(
        "namespace_owner",
        "echo x>f; chmod 600 f; $U unshare -Ur cat f",
        ("openat", "unmapped_owner", "0:0"),
    ),
    case(
        "namespace_owner_of_directory",
        "mkdir -m 700 d; $U unshare -Ur ls d",
        ("openat", "unmapped_owner", "/d belongs to 0:0"),
    ),
    case(
        "seccomp_errno",
        "filter 83 50001 mkdir d",
        ("mkdir", "seccomp", "errno 1"),
    ),
    case(
        "seccomp_hides_a_call",
        "filter 83 50026 mkdir d",
        ("mkdir", "seccomp", "errno 38"),
    ),
    case(
        "seccomp_kills",
        "filter 83 80000000 mkdir d",
        ("mkdir", "seccomp", "SIGSYS"),
    ),
    case(
        "seccomp_before_the_mode",
        "filter 257 5000d cat f",
        ("openat", "seccomp", "errno 13"),
    ),
    case(
        "filter_without_no_new_privileges",
        "$U perl -e '$f=pack(\"SCCL\",6,0,0,0x7fff0000);$p=pack(\"Sx6P\",1,$f);syscall(157,22,2,$p)==0||exit 1'",
        ("prctl", "needs_no_new_privileges", "no_new_privs"),
    ),
    case(
        "landlock",
        "echo x>f; perl -e '$a=pack(\"Q\",2);$r=syscall(444,$a,8,0);$r<0&&exit 77;syscall(157,38,1,0,0,0);syscall(446,$r,0)==0||exit 76;open(F,\">\",\"f\")||exit 1'",
        ("openat", "landlock", "/f"),
    ),
    case(
        "landlock_of_a_child",
        "echo x>f; perl -e '$a=pack(\"Q\",2);$r=syscall(444,$a,8,0);$r<0&&exit 77;syscall(157,38,1,0,0,0);syscall(446,$r,0)==0||exit 76;exec \"dd\",\"if=/proc/self/comm\",\"of=f\"'",
        ("openat", "landlock", "/f"),
    ),
    case(
        "file_capabilities",
        "cp /bin/true t; perl -e '$t=\"t\";$n=\"security.capability\";$v=pack(\"L5\",0x02000001,1<<13,0,0,0);syscall(188,$t,$n,$v,20,0)==0||exit 77'; without -net_raw ./t",
        ("execve", "file_capabilities", "bounding set"),
    ),
    case(
        "nosuid",
        "unshare -m sh -c 'mount -t tmpfs -o nosuid,mode=755 t m; cp /bin/cat m; chmod 4755 m/cat; echo x>f; chmod 600 f; setpriv --reuid 1234 --regid 1234 --clear-groups m/cat f'",
        ("openat", "file_mode", "nosuid"),
    ),
    case(
        "no_new_privileges",
        "cp /bin/cat c; chmod 4755 c; echo x>f; chmod 600 f; $U --no-new-privs ./c f",
        ("openat", "file_mode", "no_new_privs"),
    ),
    case(
        "limit_files",
        "echo x>f; sh -c 'ulimit -n 3; cat f'",
        ("openat|fcntl", "limit", "RLIMIT_NOFILE is 3"),
    ),
    case(
        "limit_processes",
        "$U prlimit --nproc=1 sh -c 'true | true'",
        ("clone|fork|vfork", "limit", "RLIMIT_NPROC is 1"),
    ),
    case(
        "limit_file_size",
        "sh -c 'ulimit -f 1; trap \"\" XFSZ; dd if=/dev/zero of=f bs=9999 count=1'",
        ("write", "limit", "RLIMIT_FSIZE is 512"),
    ),
    case(
        "limit_locked_memory",
        "$U sh -c 'ulimit -l 0; perl -e \"syscall(149,\\$b=q(x)x65536,65536)==0||exit 1\"'",
        ("mlock", "limit", "RLIMIT_MEMLOCK is 0"),
    ),
    case(
        "limit_nice",
        "$U nice -n -5 true; exit 1",
        ("setpriority", "limit", "RLIMIT_NICE is 0"),
    ),
    case(
        "limit_realtime",
        "$U chrt -f 1 true",
        (
            "sched_setscheduler|sched_setattr",
            "limit",
            "RLIMIT_RTPRIO is 0",
        ),
    ),
    case(
        "sysctl_ports",
        "sysctl_is net/ipv4/ip_unprivileged_port_start -gt 81; $U perl -MSocket -e 'socket(S,AF_INET,SOCK_STREAM,0);bind(S,sockaddr_in(81,INADDR_ANY))||exit 1'",
        (
            "bind",
            "sysctl",
            "net.ipv4.ip_unprivileged_port_start is 1024",
        ),
    ),
    case(
        "sysctl_ping",
        "test \"$(cut -f1 /proc/sys/net/ipv4/ping_group_range)\" = 1 || exit 77; $U perl -e 'socket(S,2,2,1)||exit 1'",
        ("socket", "sysctl", "net.ipv4.ping_group_range"),
    ),
];

static SYSCTLS: [Case; 9] = [
    case(
        "sysctl_symlinks",
        "sysctl_is fs/protected_symlinks -gt 0; mkdir -m 1777 d; echo x>f; $V ln -s $PWD/f d/l; cat d/l",
        ("openat", "sysctl", "fs.protected_symlinks is 1"),
    ),
    case(
        "sysctl_regular",
        "sysctl_is fs/protected_regular -gt 0; mkdir -m 1777 d; $V touch d/f; sh -c 'echo x>d/f'",
        ("openat", "sysctl", "fs.protected_regular"),
    ),
    case(
        "sysctl_fifos",
        "sysctl_is fs/protected_fifos -gt 0; mkdir -m 1777 d; $V mkfifo d/f; sh -c 'echo x>d/f'",
        ("openat", "sysctl", "fs.protected_fifos"),
    ),
    case(
        "sysctl_hardlinks",
        "sysctl_is fs/protected_hardlinks -gt 0; mkdir -m 1777 d; touch f; $U ln f d/l",
        ("linkat|link", "sysctl", "fs.protected_hardlinks is 1"),
    ),
    case(
        "sysctl_dmesg",
        "sysctl_is kernel/dmesg_restrict -gt 0; $U perl -e '$b=\" \"x99;syscall(103,3,$b,99)>=0||exit 1'",
        ("syslog", "sysctl", "kernel.dmesg_restrict is 1"),
    ),
    case(
        "sysctl_perf",
        "sysctl_is kernel/perf_event_paranoid -gt 1; $U perl -e '$a=pack(\"L2Q7\",1,64,0,0,0,0,0,0,0);syscall(298,$a,0,-1,-1,0)>=0||exit 1'",
        ("perf_event_open", "sysctl", "kernel.perf_event_paranoid is"),
    ),
    case(
        "sysctl_bpf",
        "sysctl_is kernel/unprivileged_bpf_disabled -gt 0; $U perl -e '$a=pack(\"L18\",2,4,4,1);syscall(321,0,$a,72)>=0||exit 1'",
        ("bpf", "sysctl", "kernel.unprivileged_bpf_disabled is"),
    ),
    case(
        "sysctl_userfaultfd",
        "sysctl_is vm/unprivileged_userfaultfd -eq 0; $U perl -e 'syscall(323,0)>=0||exit 1'",
        ("userfaultfd", "sysctl", "vm.unprivileged_userfaultfd is 0"),
    ),
    case(
        "sysctl_yama",
        "sysctl_is kernel/yama/ptrace_scope -eq 1; $U sleep 9 & p=$!; sleep .3; $U perl -e 'syscall(101,16,$ARGV[0]+0,0,0)==0||exit 1' $p; s=$?; kill $p; exit $s",
        ("ptrace", "yama", "ptrace_scope is 1"),
    ),
];

/// One test for each.
pub(super) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let skip = environment.unusable_recorder("ebpf");
    FILES
        .iter()
        .chain(&OTHERS)
        .chain(&SYSCTLS)
        .map(|case| {
            let program = environment.binaries.join("capprofctl");
            Test::new(
                format!("why/command/{}", case.name),
                skip.clone(),
                move || run(&program, case),
            )
        })
        .collect()
}

fn run(program: &Path, case: &Case) -> Outcome {
    match watched(program, case, |report, why| {
        check(report, case.expected, why)
    })? {
        true => Ok(Passed::Good),
        false => Ok(Passed::Skipped("this machine cannot refuse it".to_owned())),
    }
}

/// Returns the report of `why` on the script; `None` if this machine cannot run it.
pub(super) fn report(program: &Path, case: &Case) -> anyhow::Result<Option<RefusalReport>> {
    watched(program, case, |report, why| {
        Ok(match why()? {
            true => Some(read(report)?.0),
            false => None,
        })
    })
}

/// Calls `look` with the file of the report, and with a function that runs the script under `why` and returns false if this machine cannot run it.
fn watched<T>(
    program: &Path,
    case: &Case,
    look: impl FnOnce(&Path, &dyn Fn() -> anyhow::Result<bool>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let directory = tempfile::Builder::new().prefix("capprof-e2e-").tempdir()?;
    crate::container::make_accessible(directory.path())?;
    let report = directory.path().join("report.json");
    let script = format!(
        "cd {}\n{PRELUDE}\n{}",
        directory.path().display(),
        case.script
    );
    look(&report, &|| {
        let status = Command::new("timeout")
            .args(["-k", "5", "60"])
            .arg(program)
            .args(["why", "--format", "json", "--output"])
            .arg(&report)
            .args(["--", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(status.code() != Some(77))
    })
}
