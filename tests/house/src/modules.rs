//! The modules of a crate, file by file, and the files that each file uses.
//!
//! A path is followed as far as its segments are modules; it uses the file of the last of them. Uses by tests do not count.

use crate::source::{File, is_test};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Item, ItemUse, UseTree};

/// A module's path in its crate, from the root: empty for the root itself.
type Module = Vec<String>;

/// One file that uses another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The file that contains the use.
    pub from: PathBuf,
    /// The file that is used.
    pub to: PathBuf,
}

/// A crate.
#[derive(Debug)]
pub struct Crate {
    files: BTreeMap<Module, File>,
}

impl Crate {
    /// Reads a crate from its root file on.
    ///
    /// # Errors
    /// A file cannot be read or is not Rust.
    pub fn read(top: &Path, root: &Path) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        let folder = root.parent().unwrap_or(Path::new(""));
        let mut left = vec![(Module::new(), root.to_owned(), folder.to_owned())];
        while let Some((module, path, folder)) = left.pop() {
            let file = File::read(top, &path)?;
            for item in &file.syntax.items {
                let Item::Mod(child) = item else { continue };
                if child.content.is_some() || is_test(&child.attrs) {
                    continue;
                }
                let name = child.ident.to_string();
                let flat = folder.join(format!("{name}.rs"));
                let path = match top.join(&flat).exists() {
                    true => flat,
                    false => folder.join(&name).join("mod.rs"),
                };
                let mut module = module.clone();
                module.push(name.clone());
                left.push((module, path, folder.join(name)));
            }
            files.insert(module, file);
        }
        Ok(Self { files })
    }

    /// Returns each pair of different files of which one uses the other.
    pub fn uses(&self) -> BTreeSet<Use> {
        let mut uses = BTreeSet::new();
        for (module, file) in &self.files {
            let mut collector = Collector::default();
            collector.visit_file(&file.syntax);
            for path in &collector.paths {
                if let Some(used) = self.resolve(module, path)
                    && used.path != file.path
                {
                    uses.insert(Use {
                        from: file.path.clone(),
                        to: used.path.clone(),
                    });
                }
            }
        }
        uses
    }

    /// The file that a path leads to, seen from a module; `None` if it leads out of the crate.
    fn resolve(&self, module: &Module, path: &[String]) -> Option<&File> {
        let mut at = module.clone();
        let mut segments = path.iter().peekable();
        match segments.peek()?.as_str() {
            "crate" => {
                segments.next();
                at.clear();
            }
            "self" => {
                segments.next();
            }
            "super" => {
                while segments.next_if(|segment| *segment == "super").is_some() {
                    at.pop();
                }
            }
            first => {
                at.push(first.to_owned());
                if !self.files.contains_key(&at) {
                    return None;
                }
                segments.next();
            }
        }
        for segment in segments {
            at.push(segment.clone());
            if !self.files.contains_key(&at) {
                at.pop();
                break;
            }
        }
        self.files.get(&at)
    }

    /// The groups of files that all use each other, directly or not.
    pub fn circles(&self) -> Vec<BTreeSet<PathBuf>> {
        let uses = self.uses();
        let reachable = |from: &Path| {
            let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
            let mut left = vec![from.to_owned()];
            while let Some(path) = left.pop() {
                for one in uses.iter().filter(|one| one.from == path) {
                    if seen.insert(one.to.clone()) {
                        left.push(one.to.clone());
                    }
                }
            }
            seen
        };
        let paths = || self.files.values().map(|file| file.path.clone());
        let all: BTreeMap<PathBuf, BTreeSet<PathBuf>> = paths()
            .map(|path| (path.clone(), reachable(&path)))
            .collect();
        let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
        for (path, from_here) in &all {
            if !from_here.contains(path) || circles.iter().any(|circle| circle.contains(path)) {
                continue;
            }
            let circle = from_here
                .iter()
                .filter(|other| all.get(*other).is_some_and(|seen| seen.contains(path)))
                .cloned()
                .collect();
            circles.push(circle);
        }
        circles
    }

    /// The modules directly below the root.
    pub fn top_modules(&self) -> BTreeSet<String> {
        self.files
            .keys()
            .filter_map(|module| module.first().cloned())
            .collect()
    }

    /// The module directly below the root that contains a file; `None` for the root.
    pub fn top_module_of(&self, path: &Path) -> Option<&str> {
        self.files
            .iter()
            .find(|(_, file)| file.path == path)
            .and_then(|(module, _)| module.first())
            .map(String::as_str)
    }
}

/// All paths in a file, without those in tests.
#[derive(Default)]
struct Collector {
    paths: BTreeSet<Vec<String>>,
}

impl Collector {
    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| {
            let mut path = before.to_vec();
            path.push(name);
            path
        };
        match tree {
            UseTree::Path(path) => self.add_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                self.paths.insert(before.to_vec());
            }
            UseTree::Name(name) => {
                self.paths.insert(with(name.ident.to_string()));
            }
            UseTree::Rename(name) => {
                self.paths.insert(with(name.ident.to_string()));
            }
            UseTree::Glob(_) => {
                self.paths.insert(before.to_vec());
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A single segment is a name of this file, or an imported one.
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let segments = path.segments.iter();
            self.paths
                .insert(segments.map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}
