//! Paths in JSON. A path is bytes (path_resolution(7)); JSON is Unicode.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Bytes(Vec<u8>),
}

/// Writes a path as a string where it is UTF-8, else as an array of its bytes, so that no path is changed on its way
/// through a file. For `#[serde(with = "capprof_profile::serde_path")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => Form::Text(text.to_owned()),
        None => Form::Bytes(path.as_os_str().as_bytes().to_vec()),
    }
    .serialize(serializer)
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// Neither a string nor an array of bytes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Form::deserialize(deserializer)
        .map(|form| match form {
            Form::Text(text) => PathBuf::from(text),
            Form::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        })
        .map_err(|_| D::Error::custom("expected a path: a string or an array of bytes"))
}

/// The same for an optional path.
pub mod optional {
    use super::{Path, PathBuf};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Some_(#[serde(with = "super")] PathBuf);

    /// Writes `null`, or the path as [`super::serialize`] does.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_deref()
            .map(Path::to_owned)
            .map(Some_)
            .serialize(serializer)
    }

    /// Reads what [`serialize`] wrote.
    ///
    /// # Errors
    /// Neither null nor a path.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Some_>::deserialize(deserializer)?.map(|Some_(path)| path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Holder {
        #[serde(with = "super")]
        path: PathBuf,
        #[serde(with = "super::optional")]
        other: Option<PathBuf>,
    }

    #[test]
    fn a_path_that_is_not_unicode_survives() {
        let holder = Holder {
            path: PathBuf::from(OsString::from_vec(b"/a\xffb".to_vec())),
            other: Some("/x".into()),
        };
        let text = serde_json::to_string(&holder).unwrap();
        assert_eq!(serde_json::from_str::<Holder>(&text).unwrap(), holder);
        let plain: Holder = serde_json::from_str(r#"{"path":"/p","other":null}"#).unwrap();
        assert_eq!(plain.path, PathBuf::from("/p"));
    }
}
