//! Audit records as text: the lines that auditd(8) writes to its log, and the messages of the kernel's multicast group.
//!
//! The grammar is that of `include/linux/audit.h` (`audit_log_format`, `audit_log_untrustedstring`) and
//! `security/selinux/avc.c`. Nothing here panics, for any bytes.

use std::borrow::Cow;

/// The time of a record, and its event: `audit(1795441500.475:14)`.
///
/// Records of one event (an AVC record and its SYSCALL record) share it. The clock may jump, so it is never used for ordering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp {
    /// Milliseconds since the epoch, by the clock at that time.
    pub(crate) milliseconds: u64,
    /// The kernel's counter since boot.
    pub(crate) serial: u64,
}

/// The kinds of records that capprof reads (`include/uapi/linux/audit.h`, libaudit's `msg_typetab.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// 1400: a decision of the access vector cache.
    Avc,
    /// 1300: the system call in which it was made.
    Syscall,
    /// 1302: a path that the system call was about.
    Path,
    /// 1307: the working directory that its relative paths start from.
    Cwd,
    /// 1327: the command line.
    Proctitle,
    /// 1320: the end of an event.
    Eoe,
    /// 1107: a message of an object manager in user space; the fence is one.
    UserAvc,
    /// 1404: enforcing mode was switched.
    MacStatus,
    /// 1405: a boolean was switched.
    MacConfigChange,
    /// 1403: a policy was loaded.
    MacPolicyLoad,
    /// 1305: audit's state or rules were changed.
    ConfigChange,
    /// 1200: auditd started.
    DaemonStart,
    /// 1201: auditd stopped.
    DaemonEnd,
    /// 1202: auditd stopped because of an error.
    DaemonAbort,
    /// Any other.
    Other,
}

impl RecordKind {
    fn from_name(name: &[u8]) -> Self {
        match name {
            b"AVC" => Self::Avc,
            b"SYSCALL" => Self::Syscall,
            b"PATH" => Self::Path,
            b"CWD" => Self::Cwd,
            b"PROCTITLE" => Self::Proctitle,
            b"EOE" => Self::Eoe,
            b"USER_AVC" => Self::UserAvc,
            b"MAC_STATUS" => Self::MacStatus,
            b"MAC_CONFIG_CHANGE" => Self::MacConfigChange,
            b"MAC_POLICY_LOAD" => Self::MacPolicyLoad,
            b"CONFIG_CHANGE" => Self::ConfigChange,
            b"DAEMON_START" => Self::DaemonStart,
            b"DAEMON_END" => Self::DaemonEnd,
            b"DAEMON_ABORT" => Self::DaemonAbort,
            _ => Self::Other,
        }
    }

    /// The kind of a netlink message's type.
    pub(crate) fn from_number(number: u16) -> Self {
        match number {
            1400 => Self::Avc,
            1300 => Self::Syscall,
            1302 => Self::Path,
            1307 => Self::Cwd,
            1327 => Self::Proctitle,
            1320 => Self::Eoe,
            1107 => Self::UserAvc,
            1404 => Self::MacStatus,
            1405 => Self::MacConfigChange,
            1403 => Self::MacPolicyLoad,
            1305 => Self::ConfigChange,
            1200 => Self::DaemonStart,
            1201 => Self::DaemonEnd,
            1202 => Self::DaemonAbort,
            _ => Self::Other,
        }
    }
}

/// The facts at the beginning of a valid line, before the line is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glance {
    /// An AVC record.
    Avc,
    /// A further record of an event.
    Continuation,
    /// Another line, or text that is not a record.
    Other,
}

impl Glance {
    /// Looks at a line of the log. On a busy host most lines are of these two kinds and belong to other processes.
    pub(crate) fn at(line: &[u8]) -> Self {
        let begins = |kind: &[u8]| line.get(5..).is_some_and(|rest| rest.starts_with(kind));
        let (glance, length) = match line.get(5) {
            Some(b'A') if begins(b"AVC ") => (Self::Avc, 9),
            Some(b'S') if begins(b"SYSCALL ") => (Self::Continuation, 13),
            Some(b'P') if begins(b"PATH ") => (Self::Continuation, 10),
            Some(b'P') if begins(b"PROCTITLE ") => (Self::Continuation, 15),
            Some(b'C') if begins(b"CWD ") => (Self::Continuation, 9),
            Some(b'E') if begins(b"EOE ") => (Self::Continuation, 9),
            _ => return Self::Other,
        };
        match line.starts_with(b"type=") && line.get(length..).is_some_and(is_stamped) {
            true => glance,
            false => Self::Other,
        }
    }
}

/// Returns true if a stamp follows a record's type: `msg=audit(1795441500.475:14):`.
fn is_stamped(text: &[u8]) -> bool {
    /// A number of this many digits fits into 64 bits, in milliseconds too.
    const DIGITS: usize = 15;
    let mut rest = match text.strip_prefix(b"msg=audit(") {
        Some(rest) => rest,
        None => return false,
    };
    for end in [b".".as_slice(), b":", b"):"] {
        let digits = digits(rest);
        rest = match rest.get(digits..).and_then(|rest| rest.strip_prefix(end)) {
            Some(rest) if (1..=DIGITS).contains(&digits) => rest,
            _ => return false,
        };
    }
    true
}

/// Returns the number of digits at the beginning of a text. It tests eight bytes in one step, because every line of the log has three numbers.
fn digits(text: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut count = 0;
    let mut rest = text;
    while let Some((eight, after)) = rest.split_first_chunk() {
        // The byte of a digit becomes 0 to 9.
        let values = u64::from_le_bytes(*eight) ^ (EACH * u64::from(b'0'));
        // This sets the highest bit of each byte above 9. A carry spoils only bytes after the first of them.
        let others = (values.wrapping_add(EACH * 0x76) | values) & (EACH * 0x80);
        if others != 0 {
            return count + others.trailing_zeros() as usize / 8;
        }
        count += eight.len();
        rest = after;
    }
    count + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// One record; `body` is the text after `audit(…):`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuditRecord<'a> {
    /// The kind of the record.
    pub(crate) kind: RecordKind,
    /// The event of the record.
    pub(crate) stamp: Stamp,
    /// Its fields.
    pub(crate) body: &'a [u8],
}

/// Separates a record from the interpretations that auditd appends with `log_format = ENRICHED` (auditd.conf(5)).
const ENRICHMENT: u8 = 0x1d;

impl<'a> AuditRecord<'a> {
    /// Reads a line of the log, without its line feed: `[node=NAME ]type=AVC msg=audit(1795441500.475:14): …`.
    pub(crate) fn from_line(line: &'a [u8]) -> Option<Self> {
        let line = match line.strip_prefix(b"node=") {
            Some(rest) => rest.get(memchr::memchr(b' ', rest)? + 1..)?,
            None => line,
        };
        let rest = line.strip_prefix(b"type=")?;
        let end = memchr::memchr(b' ', rest)?;
        let kind = RecordKind::from_name(rest.get(..end)?);
        let rest = rest.get(end + 1..)?.strip_prefix(b"msg=")?;
        Self::from_text(kind, rest)
    }

    /// Reads a message of the kernel to the multicast group: its type, and `audit(1795441500.475:14): …`.
    pub(crate) fn from_message(number: u16, payload: &'a [u8]) -> Option<Self> {
        let payload = payload.strip_suffix(b"\0").unwrap_or(payload);
        Self::from_text(RecordKind::from_number(number), payload)
    }

    fn from_text(kind: RecordKind, text: &'a [u8]) -> Option<Self> {
        let rest = text.strip_prefix(b"audit(")?;
        let (seconds, rest) = number(rest)?;
        let (milliseconds, rest) = number(rest.strip_prefix(b".")?)?;
        let (serial, rest) = number(rest.strip_prefix(b":")?)?;
        let body = rest.strip_prefix(b"):")?;
        let body = body.strip_prefix(b" ").unwrap_or(body);
        let body = match memchr::memchr(ENRICHMENT, body) {
            Some(end) => body.get(..end)?,
            None => body,
        };
        Some(Self {
            kind,
            stamp: Stamp {
                milliseconds: seconds.checked_mul(1000)?.checked_add(milliseconds)?,
                serial,
            },
            body,
        })
    }

    /// The fields of the body in their order. Words that are not `key=value` are passed over.
    pub(crate) fn fields(&self) -> Fields<'a> {
        Fields(self.body)
    }

    /// The first field of that name, unchanged (with its quotes).
    pub(crate) fn field(&self, key: &str) -> Option<&'a [u8]> {
        self.fields()
            .find_map(|(name, value)| (name == key.as_bytes()).then_some(value))
    }

    /// The first field of that name, as a number.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        std::str::from_utf8(self.field(key)?).ok()?.parse().ok()
    }

    /// The first field of that name, which the kernel writes with `audit_log_untrustedstring()`: in quotes, or in hexadecimal
    /// if it holds bytes that a line cannot. `None` also for `(null)` and `?`.
    pub(crate) fn text(&self, key: &str) -> Option<Cow<'a, [u8]>> {
        untrusted(self.field(key)?)
    }
}

/// Decodes a value written by `audit_log_untrustedstring()` (kernel/audit.c).
fn untrusted(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(rest) = value.strip_prefix(b"\"") {
        return Some(Cow::Borrowed(rest.strip_suffix(b"\"").unwrap_or(rest)));
    }
    if value == b"(null)" || value == b"?" || value.is_empty() {
        return None;
    }
    if value.len().is_multiple_of(2) && value.iter().all(u8::is_ascii_hexdigit) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        return value
            .chunks_exact(2)
            .map(|pair| match pair {
                [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
                _ => None,
            })
            .collect::<Option<Vec<u8>>>()
            .map(Cow::Owned);
    }
    Some(Cow::Borrowed(value))
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// See [`AuditRecord::fields`].
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.0.iter().position(|byte| *byte != b' ')?;
            let text = self.0.get(start..)?;
            let word = memchr::memchr(b' ', text).unwrap_or(text.len());
            let Some(equals) = text.get(..word).and_then(|word| memchr::memchr(b'=', word)) else {
                self.0 = text.get(word..)?;
                continue;
            };
            let key = text.get(..equals)?;
            let value = text.get(equals + 1..)?;
            // A quoted value may hold blanks; it cannot hold its own quote (kernel/audit.c, audit_string_contains_control()).
            let end = match value.first() {
                Some(quote @ (b'"' | b'\'')) => value
                    .get(1..)
                    .and_then(|rest| memchr::memchr(*quote, rest))
                    .map(|end| end + 2),
                _ => None,
            }
            .or_else(|| memchr::memchr(b' ', value))
            .unwrap_or(value.len());
            let (value, rest) = value.split_at_checked(end)?;
            self.0 = rest;
            return Some((key, value));
        }
    }
}

/// A decision of SELinux, from the body of an AVC record (security/selinux/avc.c, `avc_audit_pre_callback()`):
/// `avc:  denied  { chown } for  pid=160 comm="cp" capability=0  scontext=… tcontext=… tclass=capability permissive=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AvcRecord<'a> {
    /// True for `granted`, false for `denied`.
    pub(crate) granted: bool,
    /// The permissions between the braces.
    pub(crate) permissions: Vec<&'a [u8]>,
    /// The context of the process.
    pub(crate) source: SecurityContext<'a>,
    /// The object class.
    pub(crate) class: &'a [u8],
    /// True if the access was allowed nevertheless. Granted records do not have the field.
    pub(crate) permissive: bool,
    /// The number of the capability, in records of capability classes.
    pub(crate) capability: Option<u8>,
}

impl<'a> AvcRecord<'a> {
    /// Reads an AVC record; `None` if it is not one, or cut short.
    pub(crate) fn from_record(record: &AuditRecord<'a>) -> Option<Self> {
        let rest = record.body.strip_prefix(b"avc:")?.trim_ascii_start();
        let (granted, rest) = match rest.strip_prefix(b"denied") {
            Some(rest) => (false, rest),
            None => (true, rest.strip_prefix(b"granted")?),
        };
        let rest = rest.trim_ascii_start().strip_prefix(b"{")?;
        let end = memchr::memchr(b'}', rest)?;
        let permissions = rest
            .get(..end)?
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty())
            .collect();
        let record = AuditRecord {
            body: rest.get(end + 1..)?,
            ..*record
        };
        Some(Self {
            granted,
            permissions,
            source: SecurityContext::parse(record.field("scontext")?)?,
            class: record.field("tclass")?,
            permissive: record.number("permissive") == Some(1),
            capability: record
                .number("capability")
                .and_then(|number| u8::try_from(number).ok()),
        })
    }
}

/// A security context in its four parts; the last, the range of levels, is empty if the policy has no levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecurityContext<'a> {
    /// The SELinux user.
    pub(crate) user: &'a [u8],
    /// The role.
    pub(crate) role: &'a [u8],
    /// The type.
    pub(crate) type_: &'a [u8],
    /// `s0:c1,c2-s0:c1,c2,c500,c501`: low level, and high level if it differs.
    pub(crate) range: &'a [u8],
}

impl<'a> SecurityContext<'a> {
    /// Splits `user:role:type[:range]`.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.splitn(4, |byte| *byte == b':');
        let context = Self {
            user: parts.next()?,
            role: parts.next()?,
            type_: parts.next()?,
            range: parts.next().unwrap_or_default(),
        };
        (!context.user.is_empty() && !context.role.is_empty() && !context.type_.is_empty())
            .then_some(context)
    }
}

#[cfg(test)]
mod tests;
