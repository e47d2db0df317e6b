use super::*;
use std::path::Path;
use zerocopy::FromZeros;

fn row(arguments: [u64; 4], text: &[u8]) -> layout::Object {
    let mut row = layout::Object::new_zeroed();
    row.arguments = arguments;
    row.read = 1;
    row.text[..text.len()].copy_from_slice(text);
    row.length = i32::try_from(text.len() + 1).unwrap();
    row
}

fn seen(call: &str, row: &layout::Object) -> Option<Object> {
    let call = Syscall {
        number: 1,
        name: call.to_owned(),
    };
    object("program", &call, row)
}

fn path(call: &str, row: &layout::Object) -> (Option<PathBuf>, bool) {
    let object = seen(call, row).unwrap_or_default();
    (object.path, object.cut)
}

#[test]
fn a_path_is_what_the_program_passed() {
    assert_eq!(
        seen("openat", &row([0; 4], b"/var/log/x")),
        Some(Object {
            program: "program".to_owned(),
            syscall: "openat".to_owned(),
            path: Some("/var/log/x".into()),
            ..Object::default()
        })
    );
}

#[test]
fn a_path_that_fills_the_room_may_be_longer() {
    let longest = "a".repeat(OBJECT_TEXT - 2);
    assert_eq!(
        path("openat", &row([0; 4], longest.as_bytes())),
        (Some(longest.clone().into()), false)
    );
    let fills = "a".repeat(OBJECT_TEXT - 1);
    assert_eq!(
        path("openat", &row([0; 4], fills.as_bytes())),
        (Some(longest.into()), true)
    );
    // The cut goes through the last character, of which two bytes would stay.
    let umlauts = format!("a{}", "€".repeat(45));
    let shown = format!("a{}", "€".repeat(44));
    assert_eq!(
        path(
            "openat",
            &row([0; 4], &umlauts.as_bytes()[..OBJECT_TEXT - 1])
        ),
        (Some(shown.into()), true)
    );
}

#[test]
fn what_was_not_read_is_absent() {
    let mut fault = row([0; 4], b"");
    fault.length = -14;
    assert_eq!(seen("openat", &fault), None);
    assert_eq!(seen("openat", &row([0; 4], b"")), None);
    let mut unread = row([7, 0, 0, 0], b"");
    unread.read = 0;
    assert_eq!(seen("kill", &unread), None);
    // A descriptor is no name.
    assert_eq!(seen("fchown", &row([7, 0, 0, 0], b"")), None);
    assert_eq!(seen("12345", &row([7; 4], b"")), None);
}

#[test]
fn an_address_has_a_port_or_a_path() {
    let address = |detail: &[u8], text: &[u8], length: u64| {
        let mut row = row([3, 0, length, 0], text);
        row.detail[..detail.len()].copy_from_slice(detail);
        row
    };
    let port = |family: u16| {
        let [one, two] = family.to_ne_bytes();
        seen("bind", &address(&[one, two, 0, 80], b"", 16)).and_then(|object| object.port)
    };
    assert_eq!(port(AF_INET), Some(80));
    assert_eq!(port(AF_INET6), Some(80));
    assert_eq!(port(16), None);
    let unix = AF_UNIX.to_ne_bytes();
    // Two bytes of what follows the address in memory.
    let unterminated = address(&unix, b"/run/x.sockzz", 2 + 11);
    assert_eq!(path("connect", &unterminated).0, Some("/run/x.sock".into()));
    assert_eq!(seen("connect", &address(&unix, b"", 20)), None);
}

#[test]
fn a_mount_has_a_type_if_it_is_new() {
    let mount = |flags: u64| {
        let mut row = row([0, 0, 0, flags], b"/mnt");
        row.detail[..5].copy_from_slice(b"tmpfs");
        seen("mount", &row).unwrap()
    };
    assert_eq!(mount(1).file_system.as_deref(), Some("tmpfs"));
    for flags in [0x1000, 0x20, 0x2000, 0x4_0000] {
        assert_eq!(mount(flags).file_system, None);
        assert_eq!(mount(flags).path, Some("/mnt".into()));
    }
}

#[test]
fn a_device_has_numbers() {
    let null = seen("mknodat", &row([0, 0, 0o020_666, 0x103], b"/n")).unwrap();
    assert_eq!(null.device.as_deref(), Some("c 1:3"));
    // Major 259, minor 300.
    let number = (300 & 0xff) | 259 << 8 | (300 & !0xff) << 12;
    let disk = seen("mknod", &row([0, 0o060_600, number, 0], b"/n")).unwrap();
    assert_eq!(disk.device.as_deref(), Some("b 259:300"));
    let pipe = seen("mknod", &row([0, 0o010_600, 0, 0], b"/n")).unwrap();
    assert_eq!((pipe.device, pipe.path), (None, Some("/n".into())));
}

#[test]
fn processes_and_ids_are_numbers_of_32_bits() {
    let keep = u64::from(u32::MAX);
    let process = |call: &str, arguments| seen(call, &row(arguments, b"")).unwrap().process;
    assert_eq!(process("kill", [42, 9, 0, 0]), Some(42));
    assert_eq!(process("kill", [keep, 9, 0, 0]), Some(-1));
    assert_eq!(process("ptrace", [16, 42, 0, 0]), Some(42));
    assert_eq!(process("setpriority", [0, 42, 0, 0]), Some(42));
    assert_eq!(seen("setpriority", &row([2, 42, 0, 0], b"")), None);
    let user = |call: &str, arguments| seen(call, &row(arguments, b"")).and_then(|it| it.user);
    assert_eq!(user("setuid", [33, 0, 0, 0]), Some(33));
    assert_eq!(user("setresuid", [7, keep, 0, 0]), Some(7));
    assert_eq!(user("setreuid", [keep, u64::MAX, 0, 0]), None);
}

/// The numbers of each architecture in `bpf/object_calls.h`, with the names next to them.
#[test]
fn each_number_in_the_table_is_that_of_the_named_call() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf/object_calls.h");
    let source = std::fs::read_to_string(source).unwrap();
    let (x86, arm64) = source.split_once("#else").unwrap();
    let x86_name = |number| syscalls::x86_64::Sysno::new(number).map(|call| call.name());
    let arm64_name = |number| syscalls::aarch64::Sysno::new(number).map(|call| call.name());
    for (table, name, least) in [
        (x86, &x86_name as &dyn Fn(usize) -> Option<&'static str>, 60),
        (arm64, &arm64_name, 40),
    ] {
        let entries: Vec<(usize, &str)> = table
            .lines()
            .filter_map(|line| {
                let (number, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
                let (_, named) = rest.split_once("/* ")?;
                Some((number.parse().ok()?, named.strip_suffix(" */")?))
            })
            .collect();
        assert!(entries.len() > least, "{}", entries.len());
        for (number, named) in entries {
            assert!(
                name(number).is_none_or(|name| name == named),
                "{number} {named}"
            );
        }
    }
}
