//! A configuration of which capprof parses only the parts that it looks at. The rest stays text: it keeps every byte, and a large configuration
//! costs no more than one pass over it.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::ops::Range;

/// The members that are parsed, of the configuration and of two objects in it. `true`: an object of which only some members are parsed.
const TAKEN_APART: [(&str, &str, bool); 14] = [
    ("", "process", true),
    ("", "linux", true),
    ("", "root", false),
    ("", "mounts", false),
    ("", "hooks", false),
    ("", "annotations", false),
    ("/process", "user", false),
    ("/process", "args", false),
    ("/process", "capabilities", false),
    ("/process", "noNewPrivileges", false),
    ("/process", "apparmorProfile", false),
    ("/process", "selinuxLabel", false),
    ("/linux", "namespaces", false),
    ("/linux", "seccomp", false),
];

/// The beginnings of the keys of those annotations that are parsed: capprof asks for no others. Others may be long and many.
const ANNOTATIONS: [&str; 4] = [
    "io.capprof.",
    "io.kubernetes.",
    "nerdctl/",
    "org.opencontainers.",
];

/// A parsed configuration. It goes with the text that it was parsed from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// All members in their order. A member that stays text has the value `null`; the annotations, which stay text, have those that capprof asks
    /// for.
    pub value: Value,
    /// Its place in a configuration, as a JSON pointer.
    root: &'static str,
    /// The positions of values that stay text, by the JSON pointer of their object and their key.
    aside: BTreeMap<(&'static str, String), Range<usize>>,
    /// The first key that runtimes read in different ways.
    ambiguity: Option<Ambiguity>,
    /// True if one such key is an annotation.
    in_annotations: bool,
}

/// A key that runc and crun, or two versions of one of them, read in different ways. Of two equal keys runc takes the last, merged with the first,
/// and it ignores case; crun takes the first, and only in the exact spelling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguity {
    /// It occurs twice in one object.
    #[error("key {0} occurs twice, which runtimes read differently: remove one")]
    Twice(String),
    /// It differs from a member that capprof looks at in case only.
    #[error("key {0} is {1} to some runtimes and unknown to others: write {1}")]
    Spelling(String, &'static str),
}

impl Document {
    /// Parses a configuration. Of a key that occurs twice the last counts; see [`Self::check`].
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        Self::parse_from(text, "")
    }

    /// Parses the process of `exec --process`, which has the form of `/process` in a configuration.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn parse_process(text: &str) -> serde_json::Result<Self> {
        Self::parse_from(text, "/process")
    }

    fn parse_from(text: &str, root: &'static str) -> serde_json::Result<Self> {
        let mut document = Self {
            root,
            ..Self::default()
        };
        document.value = document.part(text, text, root)?;
        Ok(document)
    }

    /// Makes sure that every runtime reads the parsed parts in the same way as capprof.
    ///
    /// # Errors
    /// The first key for which that is not sure.
    pub fn check(&self) -> Result<(), Ambiguity> {
        self.ambiguity.clone().map_or(Ok(()), Err)
    }

    /// Returns true if every runtime finds the same annotations in it.
    pub fn has_clear_annotations(&self) -> bool {
        !self.in_annotations
    }

    /// Parses one value: an object as far as the table says.
    fn part(&mut self, text: &str, part: &str, pointer: &'static str) -> serde_json::Result<Value> {
        if !part.trim_start().starts_with('{') {
            return serde_json::from_str(part);
        }
        let mut object = Map::new();
        for (key, raw) in members(part)? {
            let key = key.into_owned();
            self.note(
                ambiguous(&key, object.contains_key(&key)),
                pointer.is_empty() && folded(&key).eq("annotations".chars()),
            );
            let rule = TAKEN_APART
                .iter()
                .find(|(holder, name, _)| *holder == pointer && *name == key);
            let value = match rule {
                Some((_, "process", true)) => self.part(text, raw.get(), "/process")?,
                Some((_, "linux", true)) => self.part(text, raw.get(), "/linux")?,
                Some((_, "annotations", _)) => {
                    self.lay_aside(text, raw, pointer, &key);
                    self.annotations(raw.get())?
                }
                Some(_) => {
                    let Keys(ambiguity) = serde_json::from_str(raw.get())?;
                    self.note(ambiguity, false);
                    serde_json::from_str(raw.get())?
                }
                None => {
                    self.lay_aside(text, raw, pointer, &key);
                    Value::Null
                }
            };
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    /// The annotations that capprof asks for. Annotations may have any key.
    fn annotations(&mut self, part: &str) -> serde_json::Result<Value> {
        if !part.starts_with('{') {
            return Ok(Value::Null);
        }
        let all = members(part)?;
        let mut keys = HashSet::with_capacity(all.len());
        let mut known = Map::new();
        for (key, raw) in &all {
            if !keys.insert(key.as_ref()) {
                self.note(Some(Ambiguity::Twice(key.to_string())), true);
            }
            if ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix)) {
                known.insert(key.to_string(), serde_json::from_str(raw.get())?);
            }
        }
        Ok(Value::Object(known))
    }

    /// Leaves a value as text.
    fn lay_aside(&mut self, text: &str, raw: &RawValue, pointer: &'static str, key: &str) {
        let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        let range = start..start + raw.get().len();
        self.aside.insert((pointer, key.to_owned()), range);
    }

    fn note(&mut self, ambiguity: Option<Ambiguity>, in_annotations: bool) {
        self.in_annotations |= ambiguity.is_some() && in_annotations;
        self.ambiguity = self.ambiguity.take().or(ambiguity);
    }

    /// Parses a member that stays text, without a change to the document; null if there is no such member or it is not JSON.
    pub fn look(&self, text: &str, holder: &'static str, key: &str) -> Value {
        self.aside
            .get(&(holder, key.to_owned()))
            .and_then(|range| text.get(range.clone()))
            .and_then(|part| serde_json::from_str(part).ok())
            .unwrap_or_default()
    }

    /// Writes the configuration. Members that stayed text are copied from `text`.
    pub fn write(&self, text: &str) -> Vec<u8> {
        let mut output = Vec::with_capacity(text.len() + 4096);
        self.write_part(text, &self.value, Some(self.root), &mut output);
        output
    }

    fn write_part(
        &self,
        text: &str,
        value: &Value,
        pointer: Option<&'static str>,
        output: &mut Vec<u8>,
    ) {
        let (Value::Object(object), Some(pointer)) = (value, pointer) else {
            output.extend_from_slice(value.to_string().as_bytes());
            return;
        };
        output.push(b'{');
        for (position, (key, value)) in object.iter().enumerate() {
            if position > 0 {
                output.push(b',');
            }
            output.extend_from_slice(Value::from(key.as_str()).to_string().as_bytes());
            output.push(b':');
            let aside = self
                .aside
                .get(&(pointer, key.clone()))
                .and_then(|range| text.get(range.clone()));
            match (aside, pointer, key.as_str()) {
                (Some(aside), ..) => output.extend_from_slice(aside.as_bytes()),
                (None, "", "process") => self.write_part(text, value, Some("/process"), output),
                (None, "", "linux") => self.write_part(text, value, Some("/linux"), output),
                _ => self.write_part(text, value, None, output),
            }
        }
        output.push(b'}');
    }
}

/// A member of an object, its value as text.
type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// The members of an object.
fn members(text: &str) -> serde_json::Result<Vec<Member<'_>>> {
    /// A key, borrowed where it has no escapes.
    #[derive(Deserialize)]
    struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<Member<'de>>;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some((Key(key), value)) = members.next_entry()? {
                found.push((key, value));
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Members)?;
    deserializer.end()?;
    Ok(found)
}

/// Every member that capprof looks at, in any object.
const LOOKED_AT: [&str; 39] = [
    "action",
    "ambient",
    "annotations",
    "apparmorProfile",
    "args",
    "bounding",
    "capabilities",
    "defaultAction",
    "defaultErrnoRet",
    "destination",
    "effective",
    "errnoRet",
    "gid",
    "hooks",
    "inheritable",
    "linux",
    "maskedPaths",
    "mounts",
    "names",
    "namespaces",
    "noNewPrivileges",
    "options",
    "path",
    "permitted",
    "poststop",
    "prestart",
    "process",
    "readonlyPaths",
    "resources",
    "root",
    "seccomp",
    "selinuxLabel",
    "source",
    "sysctl",
    "syscalls",
    "terminal",
    "type",
    "uid",
    "user",
];

/// The ambiguity of a key of an object, if it has one.
fn ambiguous(key: &str, again: bool) -> Option<Ambiguity> {
    if again {
        return Some(Ambiguity::Twice(key.to_owned()));
    }
    LOOKED_AT
        .into_iter()
        .find(|name| key != *name && folded(key).eq(folded(name)))
        .map(|name| Ambiguity::Spelling(key.to_owned(), name))
}

/// Folds a key as Go's `encoding/json` does to compare keys: without case, and with the two letters that fold to ASCII ones.
fn folded(key: &str) -> impl Iterator<Item = char> + '_ {
    key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    })
}

/// The first ambiguous key in a value, at any depth.
struct Keys(Option<Ambiguity>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scan).map(Keys)
    }
}

struct Scan;

impl<'de> Visitor<'de> for Scan {
    type Value = Option<Ambiguity>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Keys(ambiguity)) = elements.next_element()? {
            found = found.or(ambiguity);
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut keys = BTreeSet::new();
        let mut found = None;
        while let Some(key) = members.next_key::<String>()? {
            let again = keys.contains(&key);
            found = found.or_else(|| ambiguous(&key, again));
            let Keys(ambiguity) = members.next_value()?;
            found = found.or(ambiguity);
            keys.insert(key);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        String::from_utf8(Document::parse(text).unwrap().write(text)).unwrap()
    }

    #[test]
    fn what_is_not_looked_at_keeps_every_byte() {
        let text = r#" { "process" : {"env": [ "A=1",  1.50 ], "user": {"uid" : 7}} , "x": { "b" :1e2, "b":2 } } "#;
        assert_eq!(
            round(text),
            r#"{"process":{"env":[ "A=1",  1.50 ],"user":{"uid":7}},"x":{ "b" :1e2, "b":2 }}"#
        );
        let value = Document::parse(text).unwrap().value;
        assert_eq!(value["process"]["user"]["uid"], 7);
        assert_eq!(value["process"]["env"], Value::Null);
    }

    #[test]
    fn a_process_is_taken_apart_by_itself() {
        let text = r#"{"args":["a"],"env":["X=\ud800"],"capabilities":{}}"#;
        let mut document = Document::parse_process(text).unwrap();
        assert_eq!(document.write(text), text.as_bytes());
        document.value["capabilities"] = serde_json::json!(null);
        assert_eq!(
            document.write(text),
            br#"{"args":["a"],"env":["X=\ud800"],"capabilities":null}"#
        );
        let twice = r#"{"capabilities":{},"Capabilities":{}}"#;
        assert!(Document::parse_process(twice).unwrap().check().is_err());
    }

    #[test]
    fn any_value_is_a_document() {
        for text in [
            "null",
            "[]",
            "7",
            "{}",
            r#"{"process":null}"#,
            r#"{"process":[1]}"#,
            r#"{"":{"a":1}}"#,
        ] {
            assert_eq!(round(text), text);
        }
    }

    #[test]
    fn of_a_key_that_occurs_twice_the_last_counts() {
        let text = r#"{"process":{"env":[1]},"x":1,"process":{"user":2},"x":[2]}"#;
        assert_eq!(round(text), r#"{"process":{"user":2},"x":[2]}"#);
    }

    #[test]
    fn what_runtimes_read_differently_is_told() {
        let told = |text: &str| {
            let result = Document::parse(text).unwrap().check();
            result.map_err(|ambiguity| ambiguity.to_string())
        };
        for text in [
            "{}",
            r#"{"process":{"user":{"uid":1.5e3}},"linux":{"namespaces":[{"type":"pid"},{"type":"mount"}]}}"#,
            // capprof leaves to the runtime what it does not look at itself.
            r#"{"x":{"a":1,"a":2},"process":{"env":[{"a":1,"a":2}]}}"#,
            r#"{"annotations":{"Process":"a","process":"b"}}"#,
        ] {
            assert_eq!(told(text), Ok(()), "{text}");
        }
        for (text, key) in [
            (r#"{"Process":{}}"#, "key Process is process to some"),
            (r#"{"proce\u017fs":{}}"#, "write process"),
            (r#"{"proceſs":{}}"#, "write process"),
            (r#"{"process":{},"process":{}}"#, "key process occurs twice"),
            (r#"{"x":1,"x":1}"#, "key x occurs twice"),
            (r#"{"process":{"Capabilities":{}}}"#, "write capabilities"),
            (r#"{"process":{"user":{"UID":0}}}"#, "key UID is uid"),
            (
                r#"{"process":{"capabilities":{"bounding":[],"bounding":[]}}}"#,
                "key bounding occurs twice",
            ),
            (
                r#"{"linux":{"namespaces":[{"type":"pid","Type":"mount"}]}}"#,
                "key Type is type",
            ),
            (
                r#"{"annotations":{"io.capprof.mode":"off","io.capprof.mode":"profile"}}"#,
                "key io.capprof.mode occurs twice",
            ),
        ] {
            let message = told(text).unwrap_err();
            assert!(message.contains(key), "{text}: {message}");
        }
    }

    #[test]
    fn annotations_are_clear_or_not() {
        let clear = |text| Document::parse(text).unwrap().has_clear_annotations();
        assert!(clear(r#"{"Process":{},"annotations":{"a":"b"}}"#));
        assert!(!clear(r#"{"Process":{},"Annotations":{}}"#));
        assert!(!clear(r#"{"annotations":{"a":"b","a":"c"}}"#));
        assert!(!clear(r#"{"annotations":{},"annotations":{}}"#));
    }

    #[test]
    fn annotations_stay_text_and_those_of_capprof_can_be_read() {
        let text = r#"{"annotations":{ "x" : "\ud800", "io.capprof.\u006eame": "a\/b", "deep": [[1.50]] }}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.check(), Ok(()));
        assert_eq!(
            document.value,
            serde_json::json!({"annotations": {"io.capprof.name": "a/b"}})
        );
        assert_eq!(document.write(text), text.as_bytes());
        for other in [r#"{"annotations":null}"#, r#"{"annotations":[ 1 ]}"#] {
            assert_eq!(round(other), other);
        }
        let twice = r#"{"annotations":{"x":"1","\u0078":"2"}}"#;
        assert!(Document::parse(twice).unwrap().check().is_err());
    }

    #[test]
    fn what_is_left_as_text_can_be_looked_at() {
        let text =
            r#"{"linux":{"maskedPaths":["/proc/kcore"],"resources":{"pids": {"limit": 1.50}}}}"#;
        let document = Document::parse(text).unwrap();
        let paths = document.look(text, "/linux", "maskedPaths");
        assert_eq!(paths, serde_json::json!(["/proc/kcore"]));
        assert_eq!(document.look(text, "/linux", "readonlyPaths"), Value::Null);
        assert_eq!(document.write(text), text.as_bytes());
    }

    #[test]
    fn what_is_not_json_is_refused_wherever_it_is() {
        for text in [
            "",
            "{",
            "{}}",
            "{} x",
            r#"{"x":}"#,
            r#"{"x":01}"#,
            r#"{"x":[1,]}"#,
            r#"{"process":{"env":["a}}"#,
            r#"{"process":{"env":[}}"#,
            r#"{"process":{"user":{"uid":}}}"#,
            r#"{"x" 1}"#,
            r#"{x:1}"#,
        ] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
        // serde_json's limit on depth holds only for the parts that capprof parses; elsewhere the runtime decides.
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Document::parse(&format!(r#"{{"process":{{"args":{deep}}}}}"#)).is_err());
        let aside = format!(r#"{{"x":{deep}}}"#);
        assert_eq!(round(&aside), aside);
    }
}
