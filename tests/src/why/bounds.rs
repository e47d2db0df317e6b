//! Refusals that exceed a bound of `why`: it names them as not seen and never gives a wrong cause.

use super::plain::{self, Case, case};
use crate::Test;
use crate::environment::Environment;
use crate::runner::{Outcome, Passed};
use anyhow::ensure;
use capprof_profile::why::report::{Refusal, RefusalReport};
use std::path::Path;
use std::sync::Arc;

/// Scripts as those of plain commands; of the refusals of `calls`, each has the cause alone and holds what is expected.
static CASES: [Case; 8] = [
    // As far as the kernel side reads the name, it is that of a directory that lets the process pass and not read.
    case(
        "long_name",
        "a=$(printf %0100d 0); b=$(printf %0$((255 - ${#PWD} - 102))d 0); mkdir -p $a/$b; echo x>$a/$b/f; chmod 600 $a/$b/f; chmod 711 $a/$b; $U cat $PWD/$a/$b/f",
        ("openat", "capability", "CAP_DAC_"),
    ),
    case(
        "many_groups",
        "echo x>f; chown 0:40 f; chmod 604 f; setpriv --reuid 1234 --regid 1234 --groups $(seq -s, 1 40) cat f",
        ("openat", "capability", "CAP_DAC_"),
    ),
    case(
        "many_id_ranges",
        "echo x>f; chown 5:5 f; chmod 600 f; mkfifo p; unshare -U perl -e '<STDIN>;open(F,\"<\",\"f\")||exit 1' <p & q=$!; exec 9>p; sleep .5; \
         for n in 0 1 2 3 4 5; do echo $n $((100000 + n * 10)) 1; done >map; cat map >/proc/$q/uid_map; cat map >/proc/$q/gid_map; echo >&9; wait $q",
        ("openat", "file_mode", "0600"),
    ),
    // The oldest filter refuses.
    case(
        "many_filters",
        "perl -e '$b=pack(\"SCCL\"x4,0x20,0,0,0,0x15,0,1,83,6,0,0,0x50001,6,0,0,0x7fff0000);$a=pack(\"SCCL\",6,0,0,0x7fff0000);syscall(157,38,1,0,0,0);\
         $p=pack(\"Sx6P\",4,$b);syscall(157,22,2,$p)==0||exit 76;$p=pack(\"Sx6P\",1,$a);for(1..70){syscall(157,22,2,$p)==0||exit 76;mkdir \"d$_\"}exit 1'",
        ("mkdir", "seccomp", "errno 1"),
    ),
    // The kernel reuses the memory of a removed filter for the next one.
    case(
        "filters_one_after_the_other",
        "for n in 1 2 3 4 5 6 7 8; do filter 83 50001 mkdir d; filter 83 5000d mkdir d; done; exit 1",
        ("mkdir", "seccomp", "errno 1"),
    ),
    // The same buffer is used, and only its end differs.
    case(
        "addresses_in_one_place",
        "chmod 755 .; for n in 1 2; do perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0);bind(S,sockaddr_un($ARGV[0]));chmod 0600,$ARGV[0]' socket$n; done; \
         $U perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0);$a=pack(\"Sa108\",1,\"socket1\");for(1,2){substr($a,8,1)=$_;syscall(42,fileno S,$a,110)}exit 1'",
        ("connect", "file_mode", "0600"),
    ),
    case(
        "names_in_one_place",
        "d=$(printf %0150d 0); mkdir $d; for n in 1 2; do echo x>$d/$n; chmod 600 $d/$n; done; \
         $U perl -e '$a=\"$ARGV[0]/1\\0\";for(1,2){substr($a,-2,1)=$_;syscall(2,$a,0)}exit 1' $d",
        ("open", "file_mode", "0600"),
    ),
    // The kernel side keeps what was refused in 4096 system calls that have not ended. Each of these waits for its child, after the account of
    // memory was refused to it; that of the oldest makes room. No call is known that waits after it was refused a capability, and then fails for it.
    case(
        "many_waiting",
        "$U perl -e 'setpgrp;pipe R,W;for(1..4300){next if fork;if(syscall(56,0x4011,0,0,0,0)==0){syswrite W,1;sleep 50}exit}\
         for(1..4300){sysread R,$b,1}syscall(161,$a=\".\");$SIG{TERM}=\"IGNORE\";kill TERM,-$$;exit 1'",
        ("chroot", "capability", "CAP_SYS_CHROOT"),
    ),
];

/// The lines about refusals that were not seen.
const NOT_SEEN: [(&str, &str); 3] = [
    ("long_name", "longer than 255 bytes"),
    ("many_groups", "more than 32 groups"),
    ("many_id_ranges", "more than 5 ranges of ids"),
];

/// The number of refusals that must be told apart.
const APART: [(&str, usize); 3] = [
    ("filters_one_after_the_other", 2),
    ("addresses_in_one_place", 2),
    ("names_in_one_place", 2),
];

/// One test for each.
pub(super) fn tests(environment: &Arc<Environment>) -> Vec<Test> {
    let skip = environment.unusable_recorder("ebpf");
    CASES
        .iter()
        .map(|case| {
            let program = environment.binaries.join("capprofctl");
            Test::new(
                format!("why/bounds/{}", case.name),
                skip.clone(),
                move || run(&program, case),
            )
        })
        .collect()
}

fn run(program: &Path, case: &Case) -> Outcome {
    let Some(report) = plain::report(program, case)? else {
        return Ok(Passed::Skipped("this machine cannot refuse it".to_owned()));
    };
    look(&report, case)?;
    Ok(Passed::Good)
}

fn look(report: &RefusalReport, case: &Case) -> anyhow::Result<()> {
    let of = |table: &[(&'static str, &'static str)]| {
        let found = table.iter().find(|(name, _)| *name == case.name);
        found.map(|(_, expected)| *expected)
    };
    let found: Vec<&Refusal> = refusals(report, case.expected.calls).collect();
    ensure!(!found.is_empty(), "nothing was refused: {report:#?}");
    for refusal in &found {
        ensure!(
            super::is_expected(refusal, case.expected),
            "{refusal:#?}\nnot seen: {:?}",
            report.missing
        );
    }
    if let Some((_, number)) = APART.iter().find(|(name, _)| *name == case.name) {
        ensure!(found.len() == *number, "{found:#?}");
    }
    if let Some(expected) = of(&NOT_SEEN) {
        ensure!(
            report.missing.iter().any(|line| line.contains(expected)),
            "{expected}: {:?}",
            report.missing
        );
    }
    Ok(())
}

/// Refusals of this system call whose processes are the script's: the shell, for one, is refused nothing of the kind.
fn refusals<'report>(
    report: &'report RefusalReport,
    call: &str,
) -> impl Iterator<Item = &'report Refusal> {
    report
        .refusals
        .iter()
        .filter(move |refusal| refusal.call == call)
}
