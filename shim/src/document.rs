//! A configuration of which only the parts that capprof looks at are taken apart. The rest stays text: it keeps every byte, and a large
//! configuration costs no more than reading over it.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// What is taken apart: members of the configuration, and of two objects in it. `true`: an object of which only some members are.
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

/// A parsed configuration. It goes with the text that it was parsed from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// All members in their order, those that are left as text with `null` for a value.
    pub value: Value,
    /// Where in the text the values are that are left as text, by JSON pointer of their object and key.
    aside: BTreeMap<(&'static str, String), Range<usize>>,
}

impl Document {
    /// Parses a configuration.
    ///
    /// # Errors
    /// The text is not JSON. Where a key occurs twice, the last counts, as in runc.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        let mut document = Self::default();
        document.value = document.part(text, text, "")?;
        Ok(document)
    }

    /// One value: an object is taken apart as far as the table says.
    fn part(&mut self, text: &str, part: &str, pointer: &'static str) -> serde_json::Result<Value> {
        if !part.trim_start().starts_with('{') {
            return serde_json::from_str(part);
        }
        let mut object = Map::new();
        for (key, raw) in members(part)? {
            let rule = TAKEN_APART
                .iter()
                .find(|(holder, name, _)| *holder == pointer && *name == key);
            let value = match rule {
                Some((_, "process", true)) => self.part(text, raw.get(), "/process")?,
                Some((_, "linux", true)) => self.part(text, raw.get(), "/linux")?,
                Some(_) => serde_json::from_str(raw.get())?,
                None => {
                    let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
                    let range = start..start + raw.get().len();
                    self.aside.insert((pointer, key.clone()), range);
                    Value::Null
                }
            };
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    /// A member that is left as text, parsed; null where there is none or it is not JSON. It stays text.
    pub fn look(&self, text: &str, holder: &'static str, key: &str) -> Value {
        self.aside
            .get(&(holder, key.to_owned()))
            .and_then(|range| text.get(range.clone()))
            .and_then(|part| serde_json::from_str(part).ok())
            .unwrap_or_default()
    }

    /// Writes the configuration, with what was left as text taken from there.
    pub fn write(&self, text: &str) -> Vec<u8> {
        let mut output = Vec::with_capacity(text.len() + 4096);
        self.write_part(text, &self.value, Some(""), &mut output);
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

/// The members of an object, their values as text.
fn members(text: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(member) = members.next_entry()? {
                found.push(member);
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Members)?;
    deserializer.end()?;
    Ok(found)
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
        // Where capprof looks, serde_json's limit holds; elsewhere depth costs nothing, and is the runtime's to judge.
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Document::parse(&format!(r#"{{"process":{{"args":{deep}}}}}"#)).is_err());
        let aside = format!(r#"{{"x":{deep}}}"#);
        assert_eq!(round(&aside), aside);
    }
}
