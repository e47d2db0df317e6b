//! The functions of a file, with their sizes.

use crate::source::{File, is_test};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Item, Signature};

/// A function or method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Lines from its `fn` to its last brace.
    pub lines: usize,
    /// Parameters, without `self`.
    pub parameters: usize,
    /// True if it is for tests only.
    pub test: bool,
}

/// All functions of a file. Those of a test file are all for tests.
pub fn functions(file: &File, test_file: bool) -> Vec<Function> {
    let mut collector = Collector {
        test: test_file,
        found: Vec::new(),
    };
    collector.visit_file(&file.syntax);
    collector.found
}

struct Collector {
    test: bool,
    found: Vec<Function>,
}

impl Collector {
    fn add(&mut self, signature: &Signature, block: &Block, test: bool) {
        let first = signature.span().start().line;
        let last = block.span().end().line;
        let receiver = usize::from(signature.receiver().is_some());
        self.found.push(Function {
            name: signature.ident.to_string(),
            lines: last + 1 - first,
            parameters: signature.inputs.len() - receiver,
            test: self.test || test,
        });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast Item) {
        let outer = self.test;
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &Vec::new(),
        };
        self.test = outer || is_test(attributes);
        visit::visit_item(self, item);
        self.test = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block, false);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block, is_test(&item.attrs));
        visit::visit_impl_item_fn(self, item);
    }
}
