//! Audit rules that suppress AVC records: the list `exclude` (auditctl(8)). Suppressed records leave no trace and are not counted.
//!
//! A rule is `struct audit_rule_data` (include/uapi/linux/audit.h). It is evaluated here as by `audit_filter()` in kernel/auditfilter.c: all fields must
//! match, the action does not matter, and a rule without fields matches nothing.

use super::recorded_processes::RecordedProcesses;

/// `AUDIT_FILTER_EXCLUDE`; `AUDIT_FILTER_PREPEND` is a flag next to the list's number.
pub(super) const EXCLUDE: u32 = 5;
const PREPEND: u32 = 0x10;
/// `AUDIT_MAX_FIELDS`.
const FIELDS: usize = 64;
/// The type of AVC records.
const AVC: u32 = 1400;

const MSGTYPE: u32 = 12;
const SUBJ_TYPE: u32 = 15;
/// Fields whose value is a string: subject and object (`AUDIT_SUBJ_USER` to `AUDIT_SUBJ_CLR`, `AUDIT_OBJ_USER` to `AUDIT_OBJ_LEV_HIGH`), watched
/// files and directories, executable, key.
const STRINGS: [u32; 14] = [13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 105, 107, 112, 210];

const EQUAL: u32 = 0x4000_0000;
const NOT_EQUAL: u32 = 0x3000_0000;

/// A field of a rule: the property, the operator, and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    kind: u32,
    operator: u32,
    value: u32,
    text: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuditRule {
    list: u32,
    fields: Vec<Field>,
}

/// The effect of a rule on the AVC records of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// No record is excluded.
    None,
    /// Records of some processes may be excluded. That depends on more than their type and domain.
    Some,
    /// All records are excluded.
    All,
}

impl AuditRule {
    /// Parses a rule from the kernel's list; `None` if it is cut short.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = payload.get(at..at.checked_add(4)?)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        // flags, action, field_count, mask[64], fields[64], values[64], fieldflags[64], buflen, buf
        let array = |number: usize, index: usize| word(12 + 4 * (FIELDS * number + index));
        let count = usize::try_from(word(8)?)
            .ok()
            .filter(|count| *count <= FIELDS)?;
        let mut text = payload.get(12 + 4 * (FIELDS * 4) + 4..)?;
        let mut fields = Vec::with_capacity(count);
        for index in 0..count {
            let (kind, value) = (array(1, index)?, array(2, index)?);
            let text = if STRINGS.contains(&kind) {
                let (own, rest) = text.split_at_checked(usize::try_from(value).ok()?)?;
                text = rest;
                Some(String::from_utf8_lossy(own).into_owned())
            } else {
                None
            };
            fields.push(Field {
                kind,
                operator: array(3, index)?,
                value,
                text,
            });
        }
        Some(Self {
            list: word(0)? & !PREPEND,
            fields,
        })
    }

    /// Returns the effect on the records that a recording looks for.
    pub(super) fn effect(&self, target: &RecordedProcesses) -> Effect {
        if self.list != EXCLUDE || self.fields.is_empty() {
            return Effect::None;
        }
        let answers: Vec<Option<bool>> = self
            .fields
            .iter()
            .map(|field| field.matches(target))
            .collect();
        if answers.contains(&Some(false)) {
            Effect::None
        } else if answers.contains(&None) {
            Effect::Some
        } else {
            Effect::All
        }
    }
}

impl Field {
    /// Returns true if the rule matches the AVC records of the target's processes; `None` if that depends on the process.
    fn matches(&self, target: &RecordedProcesses) -> Option<bool> {
        match (self.kind, self.operator, &self.text) {
            (MSGTYPE, operator, _) => Some(compare(AVC, operator, self.value)),
            (SUBJ_TYPE, EQUAL, Some(type_)) => Some(*type_ == target.type_),
            (SUBJ_TYPE, NOT_EQUAL, Some(type_)) => Some(*type_ != target.type_),
            _ => None,
        }
    }
}

/// `audit_comparator()`. An operator that the kernel does not know matches nothing.
fn compare(one: u32, operator: u32, other: u32) -> bool {
    match operator {
        EQUAL => one == other,
        NOT_EQUAL => one != other,
        0x1000_0000 => one < other,
        0x5000_0000 => one <= other,
        0x2000_0000 => one > other,
        0x6000_0000 => one >= other,
        0x0800_0000 => one & other != 0,
        0x4800_0000 => one & other == other,
        _ => false,
    }
}

impl std::fmt::Display for AuditRule {
    /// The form of auditctl(8), with numbers instead of names.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("-a never,exclude")?;
        for field in &self.fields {
            let name = match field.kind {
                0 => "pid",
                1 => "uid",
                5 => "gid",
                9 => "auid",
                MSGTYPE => "msgtype",
                13 => "subj_user",
                14 => "subj_role",
                SUBJ_TYPE => "subj_type",
                16 => "subj_sen",
                17 => "subj_clr",
                112 => "exe",
                210 => "key",
                number => return write!(formatter, " -F field {number}…"),
            };
            let operator = match field.operator {
                EQUAL => "=",
                NOT_EQUAL => "!=",
                0x1000_0000 => "<",
                0x5000_0000 => "<=",
                0x2000_0000 => ">",
                0x6000_0000 => ">=",
                0x0800_0000 => "&",
                0x4800_0000 => "&=",
                _ => "?",
            };
            write!(formatter, " -F {name}{operator}")?;
            match (&field.text, field.kind, field.value) {
                (Some(text), ..) => formatter.write_str(text)?,
                (None, MSGTYPE, AVC) => formatter.write_str("AVC")?,
                (None, _, value) => write!(formatter, "{value}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
