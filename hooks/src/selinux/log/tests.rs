use super::*;
use std::io::Write;

struct Log {
    directory: tempfile::TempDir,
    path: PathBuf,
}

impl Log {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        fs::write(&path, "old 1\nold 2\n").unwrap();
        Self { directory, path }
    }

    fn append(&self, text: &str) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(&self.path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Rotates like auditd: removes the oldest part, renames each part, and begins a new file.
    fn rotate(&self, keep: u32) {
        let part = |number| self.directory.path().join(format!("audit.log.{number}"));
        let _ = fs::remove_file(part(keep));
        for number in (1..keep).rev() {
            let _ = fs::rename(part(number), part(number + 1));
        }
        fs::rename(&self.path, part(1)).unwrap();
        self.append("");
    }
}

fn lines(reader: &mut Reader) -> Vec<String> {
    let mut lines = Vec::new();
    reader
        .read(|line| lines.push(String::from_utf8_lossy(line).into_owned()))
        .unwrap();
    lines
}

#[test]
fn only_what_comes_after_the_position_is_read_and_partial_lines_wait() {
    let log = Log::new();
    let position = Position::end_of(&log.path).unwrap();
    let mut reader = Reader::resume(&position).unwrap();
    assert!(lines(&mut reader).is_empty());
    log.append("new 1\nne");
    assert_eq!(lines(&mut reader), ["new 1"]);
    log.append("w 2\n");
    assert_eq!(lines(&mut reader), ["new 2"]);
    assert!(reader.losses().is_empty());
}

#[test]
fn the_rest_of_a_line_that_began_before_the_position_is_passed_over() {
    let log = Log::new();
    log.append("type=AVC msg=audit(1.0:1): avc:  den");
    let position = Position::end_of(&log.path).unwrap();
    let mut reader = Reader::resume(&position).unwrap();
    log.append("ied  { chown }");
    assert!(lines(&mut reader).is_empty());
    log.append(" for  pid=1\nnew\n");
    assert_eq!(lines(&mut reader), ["new"]);
    assert!(reader.losses().is_empty());
}

#[test]
fn rotations_before_and_while_reading_lose_nothing() {
    let log = Log::new();
    let position = Position::end_of(&log.path).unwrap();
    log.append("a\n");
    log.rotate(5);
    log.append("b\n");
    log.rotate(5);
    log.append("c\n");
    let mut reader = Reader::resume(&position).unwrap();
    assert_eq!(lines(&mut reader), ["a", "b", "c"]);
    log.append("d\n");
    log.rotate(5);
    log.append("e\n");
    log.rotate(5);
    assert_eq!(lines(&mut reader), ["d", "e"]);
    log.append("f\n");
    assert_eq!(lines(&mut reader), ["f"]);
    assert!(reader.losses().is_empty());
}

#[test]
fn a_part_that_was_rotated_away_is_a_loss() {
    let log = Log::new();
    // It is held open, so that the file system does not reuse its inode for the next file.
    let _held = File::open(&log.path).unwrap();
    let position = Position::end_of(&log.path).unwrap();
    log.append("a\n");
    for text in ["b\n", "c\n", "d\n"] {
        log.rotate(2);
        log.append(text);
    }
    let mut reader = Reader::resume(&position).unwrap();
    assert_eq!(lines(&mut reader), ["b", "c", "d"]);
    assert_eq!(reader.losses().len(), 1);
}

#[test]
fn a_log_that_was_cut_or_whose_inode_is_another_file_is_a_loss() {
    let log = Log::new();
    let position = Position::end_of(&log.path).unwrap();
    let file = File::options().write(true).open(&log.path).unwrap();
    file.set_len(0).unwrap();
    log.append("x\n");
    let mut reader = Reader::resume(&position).unwrap();
    assert_eq!(lines(&mut reader), ["x"]);
    assert_eq!(reader.losses().len(), 1);

    file.set_len(0).unwrap();
    log.append("quite another content, and longer than before\n");
    let reader = Reader::resume(&position).unwrap();
    assert_eq!(reader.losses().len(), 1);
}

#[test]
fn a_line_without_end_takes_bounded_memory() {
    let log = Log::new();
    let position = Position::end_of(&log.path).unwrap();
    log.append(&"x".repeat(3 * CHUNK));
    log.append("\nnext\n");
    let mut reader = Reader::resume(&position).unwrap();
    let lines = lines(&mut reader);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].len(), LONGEST_LINE);
    assert_eq!(lines[1], "next");
    assert_eq!(reader.buffer.len(), CHUNK);
}

#[test]
fn auditd_configuration_names_the_log() {
    assert_eq!(path_in(""), Some(PathBuf::from(DEFAULT)));
    assert_eq!(
        path_in("# comment\nlog_file = /var/log/other.log\nwrite_logs = yes\n"),
        Some(PathBuf::from("/var/log/other.log"))
    );
    assert_eq!(path_in("write_logs = no\n"), None);
    assert_eq!(path_in("log_format = NOLOG"), None);
}

/// Peak memory of this process in bytes (proc_pid_status(5), `VmHWM`).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes.unwrap().parse::<u64>().unwrap() * 1024
}

fn cpu_time() -> std::time::Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .unwrap()
        .into()
}

/// Prints what docs/performance.md tells.
#[test]
#[ignore = "a measurement, of an optimized build on an idle machine: cargo test --release -p capprof-hook --bin capprof-hook a_gibibyte -- --ignored --nocapture"]
fn a_gibibyte_of_log_takes_two_seconds_and_16_mib_at_most() {
    use crate::selinux::events::EventCollector;
    use crate::selinux::recorded_processes::RecordedProcesses;
    let target = RecordedProcesses {
        type_: "capprof_t".to_owned(),
        range: "s0:c1,c2-s0:c1,c2,c500,c501".to_owned(),
        fence: "capprof fence ".to_owned(),
        ..RecordedProcesses::default()
    };
    let event = |serial: u64| {
        let (label, class) = match serial % 100 {
            0 => (format!("{}:{}", target.type_, target.range), "capability"),
            _ => ("container_t:s0:c3,c4".to_owned(), "file"),
        };
        let stamp = format!("msg=audit(1795441500.475:{serial}):");
        format!(
            "type=AVC {stamp} avc:  denied  {{ chown }} for  pid=160 comm=\"tool\" capability=0  scontext=system_u:system_r:{label} \
             tcontext=system_u:system_r:{label} tclass={class} permissive=1\n\
             type=SYSCALL {stamp} arch=c000003e syscall=92 success=yes exit=0 a0=7ffd a1=1 a2=1 a3=0 items=1 ppid=1 pid=160 auid=0 uid=0 \
             gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=1 comm=\"tool\" exe=\"/usr/bin/tool\" \
             subj=system_u:system_r:{label} key=(null)\x1dARCH=x86_64 SYSCALL=chown AUID=\"root\" UID=\"root\"\n\
             type=PROCTITLE {stamp} proctitle=746F6F6C00746573740066696C65\n"
        )
    };
    let log = Log::new();
    let mut file = io::BufWriter::new(File::create(&log.path).unwrap());
    let (mut length, mut serial) = (0, 0);
    while length < 1 << 30 {
        let text = event(serial);
        file.write_all(text.as_bytes()).unwrap();
        length += text.len();
        serial += 1;
    }
    file.flush().unwrap();
    drop(file);
    let start = Position {
        offset: 0,
        before: Vec::new(),
        ..Position::end_of(&log.path).unwrap()
    };
    for (from, position) in [
        ("start", start),
        ("end", Position::end_of(&log.path).unwrap()),
    ] {
        let before = peak();
        let (began, cpu) = (std::time::Instant::now(), cpu_time());
        let mut collector = EventCollector::new(target.clone());
        let mut reader = Reader::resume(&position).unwrap();
        reader.read(|line| collector.line(line)).unwrap();
        let (elapsed, cpu) = (began.elapsed(), cpu_time() - cpu);
        let seen = collector.seen();
        let memory = peak() - before;
        let count: u64 = seen.observations.iter().map(|one| one.count).sum();
        println!(
            "{length} bytes from the {from}: {elapsed:?} ({cpu:?} of a processor), {} KiB, {count} records",
            memory / 1024
        );
        assert_eq!(
            count,
            if from == "start" {
                serial.div_ceil(100)
            } else {
                0
            }
        );
        assert!(elapsed.as_secs_f64() <= 2.0, "{elapsed:?}");
        assert!(memory <= 16 << 20, "{memory}");
    }
}
