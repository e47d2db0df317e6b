//! Packs the atlas (`atlas/table`, `atlas/sites`) into one text for the library: a list of strings, each once, then a line of numbers for each entry (in base 36).
//! It also makes tables of the offsets of strings and entries, and of the entries of each function, so that a program reads only those that it needs.
//! It turns `atlas/paths.jsonl` into constants.
//!
//! `src/atlas.rs` reads it and says what the numbers mean.

use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The identity of a place (file, function, capability, helper, number), and the form in which it was read.
type Place = [String; 6];

/// The strings of the text, each once, at the index of its number.
#[derive(Default)]
struct Strings {
    numbers: HashMap<String, usize>,
    list: Vec<String>,
    /// How often the number of each was asked for.
    uses: Vec<usize>,
}

impl Strings {
    fn number(&mut self, text: &str) -> usize {
        let next = self.list.len();
        let number = *self.numbers.entry(text.into()).or_insert(next);
        if number == next {
            self.list.push(text.into());
            self.uses.push(0);
        }
        self.uses[number] += 1;
        number
    }

    /// The same strings with new numbers: the empty one stays 0, and the shortest go to those that are used most.
    fn by_use(self) -> Self {
        let mut order: Vec<usize> = (1..self.list.len()).collect();
        order.sort_by_key(|number| Reverse(self.uses[*number]));
        let mut sorted = Self::default();
        sorted.number("");
        for number in order {
            sorted.number(&self.list[number]);
        }
        sorted
    }
}

/// The audit record that a check can leave: one by any security module, none because of its option, or none because only the capability module
/// is called.
#[derive(Clone, Copy)]
enum Audit {
    Recorded = 0,
    Silent = 1,
    Direct = 2,
}

/// The places of one kernel. For each: whether the amd64 build has it, the user namespace that is asked, and the record that the check can leave.
type Sites = BTreeMap<Place, (bool, String, Audit)>;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=atlas/table");
    println!("cargo::rerun-if-changed=atlas/sites");
    println!("cargo::rerun-if-changed=atlas/paths.jsonl");
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("paths.rs"),
        paths(&fs::read_to_string("atlas/paths.jsonl")?)?,
    )?;
    let kernels = kernels(Path::new("atlas/sites"))?;
    let mut entries: Vec<Value> = Vec::new();
    for path in files(Path::new("atlas/table"), "jsonl")? {
        for line in fs::read_to_string(path)?.lines() {
            entries.push(serde_json::from_str(line)?);
        }
    }
    let mut strings = Strings::default();
    strings.number("");
    for entry in &entries {
        record(entry, &kernels, &mut strings);
    }
    let mut strings = strings.by_use();
    let mut index = Index::default();
    let mut lines = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        index.add(number, entry, &mut strings);
        lines.push(record(entry, &kernels, &mut strings));
    }
    let names: Vec<&str> = kernels.iter().map(|(name, _)| name.as_str()).collect();
    let (mut text, mut code) = (String::new(), String::new());
    writeln!(code, "static KERNELS: [&str; {}] = {names:?};", names.len())?;
    for (name, texts) in [("STRINGS", &strings.list), ("LINES", &lines)] {
        let begins = append(&mut text, texts);
        writeln!(code, "static {name}: [u32; {}] = {begins:?};", begins.len())?;
    }
    code += &index.code(&strings)?;
    let place = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(place.join("atlas.txt"), text)?;
    fs::write(place.join("atlas_index.rs"), code)?;
    Ok(())
}

/// Appends a line for each text. Returns where each begins, and where the last ends.
fn append(text: &mut String, texts: &[String]) -> Vec<usize> {
    let mut begins = vec![text.len()];
    for line in texts {
        text.push_str(line);
        text.push('\n');
        begins.push(text.len());
    }
    begins
}

/// The entries by name: pairs of a string's number and an entry's number.
#[derive(Default)]
struct Index {
    functions: Vec<(usize, usize)>,
    callers: Vec<(usize, usize)>,
    /// The entries where a recorder may not see the check.
    unseen: Vec<usize>,
}

impl Index {
    fn add(&mut self, number: usize, entry: &Value, strings: &mut Strings) {
        let mut name = |value: &Value| strings.number(value.as_str().unwrap_or_default());
        self.functions.push((name(&entry["function"]), number));
        for caller in entry["callers"].as_array().into_iter().flatten() {
            self.callers.push((name(caller), number));
        }
        if entry["unseen"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
        {
            self.unseen.push(number);
        }
    }

    /// Returns the Rust source of the tables, with the pairs ordered by name.
    fn code(mut self, strings: &Strings) -> Result<String, std::fmt::Error> {
        let mut code = String::new();
        for (name, pairs) in [
            ("FUNCTIONS", &mut self.functions),
            ("CALLERS", &mut self.callers),
        ] {
            pairs.sort_by_key(|(string, number)| (&strings.list[*string], *number));
            writeln!(
                code,
                "static {name}: [(u16, u16); {}] = {pairs:?};",
                pairs.len()
            )?;
        }
        let unseen = &self.unseen;
        writeln!(code, "static UNSEEN: [u16; {}] = {unseen:?};", unseen.len())?;
        Ok(code)
    }
}

/// Returns the Rust source of the named paths: a constant for each, with its functions.
fn paths(lines: &str) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for line in lines.lines() {
        let path: Value = serde_json::from_str(line)?;
        let (Some(name), Some(why), Some(functions)) = (
            path["path"].as_str(),
            path["why"].as_str(),
            path["functions"].as_array(),
        ) else {
            return Err(format!("atlas/paths.jsonl: {line}").into());
        };
        let name = name.replace('-', "_").to_uppercase();
        let functions: Vec<&str> = functions.iter().filter_map(Value::as_str).collect();
        writeln!(
            code,
            "/// {why}\npub const {name}: &[&str] = &{functions:?};"
        )?;
    }
    Ok(code)
}

/// The files of a directory with an extension, in the order of their names.
fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The extracts, oldest kernel first.
fn kernels(directory: &Path) -> Result<Vec<(String, Sites)>, Box<dyn Error>> {
    let mut found = Vec::new();
    for path in files(directory, "tsv")? {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut sites = Sites::new();
        for line in fs::read_to_string(&path)?
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let fields: Vec<&str> = line.split('\t').collect();
            let [
                file,
                function,
                capability,
                helper,
                n,
                digest,
                namespace,
                silent,
                built,
            ] = fields[..]
            else {
                return Err(format!("{}: {line}", path.display()).into());
            };
            let place = [file, function, capability, helper, n, digest].map(String::from);
            let audit = match silent {
                "no" => Audit::Recorded,
                "yes" => Audit::Silent,
                "direct" => Audit::Direct,
                _ => return Err(format!("{}: {line}", path.display()).into()),
            };
            sites.insert(place, (built == "yes", namespace.into(), audit));
        }
        found.push((name, sites));
    }
    found.sort_by_key(|(name, _)| {
        name.split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect::<Vec<u32>>()
    });
    Ok(found)
}

/// Returns one entry as a line: numbers of strings, numbers of joined lists, for each kernel the number of the entry's places and the number of
/// these that are built, and for a few entries the act that a recorder may not see.
fn record(entry: &Value, kernels: &[(String, Sites)], strings: &mut Strings) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let list = |name: &str| -> Vec<String> {
        entry[name]
            .as_array()
            .map(|items| {
                items
                    .iter()
                    .map(|item| item.as_str().map_or(item.to_string(), String::from))
                    .collect()
            })
            .unwrap_or_default()
    };
    let mut counts = Vec::new();
    let (mut namespaces, mut audit) = (Vec::new(), Audit::Recorded);
    for (_, sites) in kernels {
        let (mut all, mut built) = (0, 0);
        let mut of_kernel = Vec::new();
        for n in list("n") {
            for digest in list("read") {
                let place = [
                    text("file"),
                    text("function"),
                    text("capability"),
                    text("helper"),
                    &n,
                    &digest,
                ]
                .map(String::from);
                if let Some((is_built, asked, record)) = sites.get(&place) {
                    all += 1;
                    built += usize::from(*is_built);
                    if !of_kernel.contains(asked) {
                        of_kernel.push(asked.clone());
                    }
                    audit = *record;
                }
            }
        }
        // The newest kernel that has places of this entry decides which namespaces are listed.
        if !of_kernel.is_empty() {
            namespaces = of_kernel;
        }
        counts.push(match all == built {
            true => all.to_string(),
            false => format!("{all}/{built}"),
        });
    }
    let asked = match list("asked") {
        asked if asked.is_empty() => text("capability").replace('|', " "),
        asked => asked.join(" "),
    };
    let mut fields: Vec<String> = [
        "file", "function", "helper", "class", "without", "plain", "unless", "decides", "who",
        "rule", "proof",
    ]
    .iter()
    .map(|name| base36(strings.number(text(name))))
    .collect();
    let lists = [
        asked,
        list("or").join(" "),
        list("and").join(" "),
        list("callers").join(" "),
        namespaces.join(" and "),
    ];
    fields.extend(lists.iter().map(|value| base36(strings.number(value))));
    fields.push((audit as u8).to_string());
    fields.extend(counts);
    if !text("unseen").is_empty() {
        fields.push(format!("u{}", base36(strings.number(text("unseen")))));
    }
    fields.join(" ")
}

/// Returns a number in base 36. 0 has no digit: it is the number of the empty string, which most fields of an entry have.
fn base36(mut number: usize) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[number % 36]);
        number /= 36;
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(*digit))
        .collect()
}
