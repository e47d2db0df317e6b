//! Types that other modules of a crate, or other crates, can name.

use crate::source::{File, is_test};
use syn::{Attribute, Ident, Item, Visibility};

/// The names of a file's types that are `pub` or `pub(crate)`, without those for tests.
pub fn shared_types(file: &File) -> Vec<String> {
    file.syntax
        .items
        .iter()
        .filter_map(declaration)
        .filter(|(attributes, visibility, _)| !is_test(attributes) && is_shared(visibility))
        .map(|(_, _, name)| name.to_string())
        .collect()
}

fn declaration(item: &Item) -> Option<(&[Attribute], &Visibility, &Ident)> {
    Some(match item {
        Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Union(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Trait(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Type(item) => (&item.attrs, &item.vis, &item.ident),
        _ => return None,
    })
}

fn is_shared(visibility: &Visibility) -> bool {
    match visibility {
        Visibility::Public(_) => true,
        Visibility::Restricted(restricted) => restricted.path.is_ident("crate"),
        Visibility::Inherited => false,
    }
}
