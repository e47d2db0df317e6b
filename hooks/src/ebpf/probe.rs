//! Finds out what the eBPF recorder can do on this host.

use super::method::Method;
use super::program_set::ProgramSet;
use super::{cgroup, programs};
use serde::Serialize;

/// The result of one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The method.
    pub method: Method,
    /// The reason for the refusal; `None` if it works.
    pub refused: Option<String>,
}

/// The abilities of the eBPF recorder on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EbpfReport {
    /// True if it can record.
    pub usable: bool,
    /// The method that it would use; empty if it cannot record.
    pub method: String,
    /// Every method, in order of preference.
    pub attempts: Vec<Attempt>,
    /// The methods that were refused, a line each.
    pub refused: Vec<String>,
    /// The uses besides capability checks that it would not see (docs/privileged.md), a line each.
    pub not_observed: Vec<String>,
    /// True if the program set is loaded already.
    pub loaded: bool,
    /// The number of recordings that the program set serves.
    pub recordings: usize,
}

/// Tries every method, and detaches each again.
pub fn probe() -> EbpfReport {
    let mut attempts = Vec::new();
    let mut usable = None;
    for method in Method::ALL {
        let refused = match programs::attach(method) {
            Ok(attached) => {
                usable.get_or_insert((method, attached.lacking));
                None
            }
            Err(error) => Some(error.to_string()),
        };
        attempts.push(Attempt { method, refused });
    }
    let set = ProgramSet::open().unwrap_or_default();
    EbpfReport {
        usable: usable.is_some(),
        method: usable
            .as_ref()
            .map_or_else(String::new, |(method, _)| method.to_string()),
        refused: attempts
            .iter()
            .filter_map(|attempt| {
                Some(format!("{}: {}", attempt.method, attempt.refused.as_ref()?))
            })
            .collect(),
        attempts,
        not_observed: cgroup::not_observed(|program| {
            let (_, lacking) = usable.as_ref()?;
            lacking.get(program).map(String::as_str)
        }),
        loaded: set.is_some(),
        recordings: set
            .and_then(|set| set.containers().ok())
            .map_or(0, |containers| containers.len()),
    }
}
