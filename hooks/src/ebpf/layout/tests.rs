use super::*;
use libbpf_rs::btf::types::{Array, Composite, DataSec, Int, MemberAttr, Struct, Var};
use libbpf_rs::btf::{Btf, BtfType, HasSize, ReferencesType, TypeId};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const OBJECT: &str = concat!(env!("OUT_DIR"), "/capprof.bpf.o");

/// The size of a type in bytes.
fn size(btf: &Btf<'_>, id: TypeId) -> usize {
    let known = btf.type_by_id::<BtfType<'_>>(id).unwrap();
    let known = known.skip_mods_and_typedefs();
    if let Ok(array) = Array::try_from(known) {
        return array.capacity() * size(btf, array.contained_type().type_id());
    }
    if let Ok(composite) = Composite::try_from(known) {
        return composite.size();
    }
    Int::try_from(known).unwrap().size()
}

/// The structure of a map's key or value, or of the settings, which have no name.
fn structure<'btf>(btf: &'btf Btf<'_>, name: &str) -> Struct<'btf> {
    if name != "settings" {
        return btf.type_by_name::<Struct<'_>>(name).unwrap();
    }
    let section: DataSec<'_> = btf.type_by_name(".rodata.settings").unwrap();
    let variable: Var<'_> = btf.type_by_id(section.iter().next().unwrap().ty).unwrap();
    let settings = variable.referenced_type().skip_mods_and_typedefs();
    Struct::try_from(settings).unwrap()
}

#[test]
fn every_member_lies_where_the_program_has_it() {
    let btf = Btf::from_path(OBJECT).unwrap();
    for layout in LAYOUTS {
        let structure = structure(&btf, layout.name);
        assert_eq!(structure.size(), layout.size, "struct {}", layout.name);
        let theirs: BTreeMap<String, (usize, usize)> = structure
            .iter()
            .map(|member| {
                let MemberAttr::Normal { offset } = member.attr else {
                    panic!("{:?} is a bit field", member.name);
                };
                let name = member.name.unwrap().to_str().unwrap().to_owned();
                let offset = usize::try_from(offset / 8).unwrap();
                (name, (offset, size(&btf, member.ty)))
            })
            .collect();
        let ours: BTreeMap<String, (usize, usize)> = layout
            .members
            .iter()
            .map(|member| (member.name.to_owned(), (member.offset, member.size)))
            .collect();
        assert_eq!(ours, theirs, "struct {}", layout.name);
    }
}

/// Constants of the program that BTF does not show, because no member's size depends on them.
#[test]
fn every_constant_has_the_value_that_the_program_gives_it() {
    let sources: String = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let shift = |name: &str, value: u32| format!("CHECK_{name} = 1 << {}", value.trailing_zeros());
    let mut expected = vec![
        shift("OVERRIDDEN", check::OVERRIDDEN),
        shift("BY_OWNER", check::BY_OWNER),
        shift("PRE_EXEC", check::PRE_EXEC),
        shift("JOINED", check::JOINED),
        shift("SILENT", check::SILENT),
        shift("AUDITED", check::AUDITED),
        shift("WITHOUT_EFFECT", check::WITHOUT_EFFECT),
        shift("COMPAT", check::COMPAT),
        shift("OPEN_WRITE", check::OPEN_WRITE),
        shift("ROOT", check::ROOT),
        shift("MOUNTER", check::MOUNTER),
        format!("CHECK_NAMESPACE = {}", check::NAMESPACE),
        format!("TASK_PENDING = {TASK_PENDING}"),
        format!("ARRAY(symbols, ARRAY, {SYMBOLS}, "),
        format!("#define SHARES {SHARES}"),
    ];
    for (name, value) in [
        ("OTHER_MOUNT", program::OTHER_MOUNT),
        ("OUTSIDE", program::OUTSIDE),
        ("TRUNCATED", program::TRUNCATED),
    ] {
        expected.push(format!("PROGRAM_{name} = {value}"));
    }
    for constant in expected {
        assert!(sources.contains(&constant), "{constant}");
    }
}

#[test]
fn a_text_ends_at_its_first_nul() {
    assert_eq!(text(b"nginx\0\0x"), "nginx");
    assert_eq!(text(b"full"), "full");
}
