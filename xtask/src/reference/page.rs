//! Which table is on which page.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use crate::dump::markdown;
use crate::tables::Table;

/// A page.
struct Family {
    page: &'static str,
    title: &'static str,
    /// How the names of its tables begin. The longest beginning of all pages decides.
    tables: &'static [&'static str],
}

/// The pages, in the order of the index.
const FAMILIES: [Family; 15] = [
    Family { page: "vmcs", title: "Fields of the VMCS", tables: &["vmcs_field"] },
    Family { page: "vmx-controls", title: "VMX controls", tables: &["vmx_control"] },
    Family {
        page: "vmx-capabilities",
        title: "VMX capabilities",
        tables: &[
            "vmx_capability",
            "vmx_basic",
            "vmx_misc",
            "vmx_vmcs_enum",
            "vmcs_enum",
            "vmx_feature",
            "ept_capability",
        ],
    },
    Family {
        page: "vmx-exits",
        title: "VM exits and events of VMX",
        tables: &[
            "vmx_exit",
            "vmx_qualification",
            "vmx_instruction_information",
            "vmx_entry_interruption",
            "vmx_idt_vectoring",
            "vmx_event_type",
        ],
    },
    Family { page: "vmx-memory", title: "Structures of VMX in memory", tables: &["vmx_memory"] },
    Family { page: "vmx", title: "Further words and codes of VMX", tables: &["vmx_"] },
    Family { page: "ept", title: "Extended page tables", tables: &["ept", "spp", "hlat", "pasid"] },
    Family {
        page: "svm-exits",
        title: "Exit codes and intercepts of SVM",
        tables: &["svm_exit", "svm_software_exit", "svm_intercept", "svm_vc_error"],
    },
    Family { page: "vmcb", title: "The VMCB", tables: &["vmcb", "svm_clean", "svm_virtual", "svm_nested"] },
    Family { page: "vmsa", title: "The VMSA", tables: &["vmsa"] },
    Family { page: "ghcb", title: "The GHCB", tables: &["ghcb", "svm_ghcb", "svm_vmgexit"] },
    Family { page: "sev", title: "Encrypted guests", tables: &["sev", "svm_sev"] },
    Family { page: "avic", title: "AVIC", tables: &["avic", "svm_avic"] },
    Family { page: "svm", title: "Features, registers and further codes of SVM", tables: &["svm_"] },
    Family { page: "npt", title: "Nested page tables", tables: &["npt", "ncr3"] },
];

/// The page of tables that no other wants.
const REST: Family = Family { page: "other", title: "Further tables", tables: &[] };

/// First line of every page.
const NOTICE: &str = "<!-- Made from the tables of the library by `cargo xtask dump reference`. -->";

/// What the columns mean.
const LEGEND: &str = "\
The encoding is that of a field or MSR, the value of a code, the number of the lowest bit, or the offset in bytes. `rw`, `ro` and
`sensitive` tell who may write: `sensitive` is what safe code cannot write. A name under \"also named\" is that of another project.
A provisional row rests on one source or on a proposal, exists with the cargo feature `provisional` only, and may change.
";

/// The name and the text of every page that has tables, and of the index.
pub(crate) fn pages(tables: Vec<Table>) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut index =
        format!("{NOTICE}\n\n# Reference of encodings\n\n{LEGEND}\n| page | table | rows |\n| --- | --- | --- |\n");
    let mut rest = tables;
    for (place, family) in FAMILIES.iter().chain([&REST]).enumerate() {
        let (mine, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|table| place_of(&table.name) == place);
        rest = others;
        if mine.is_empty() {
            continue;
        }
        let mut text = format!("{NOTICE}\n\n# {}\n\n[What the columns mean](README.md)\n", family.title);
        for table in &mine {
            // Writing to a string does not fail.
            let _ = write!(text, "\n{}", markdown(table));
            let Family { page, title, .. } = family;
            let _ =
                writeln!(index, "| [{title}]({page}.md#{name}) | `{name}` | {} |", table.rows.len(), name = table.name);
        }
        pages.insert(format!("{}.md", family.page), text);
    }
    pages.insert("README.md".to_owned(), index);
    pages
}

/// The place in [`FAMILIES`] of the page of a table, or the one behind the last.
fn place_of(table: &str) -> usize {
    let length = |family: &Family| {
        family.tables.iter().filter(|beginning| table.starts_with(**beginning)).map(|beginning| beginning.len()).max()
    };
    let longest = FAMILIES.iter().enumerate().filter_map(|(place, family)| Some((length(family)?, place))).max();
    longest.map_or(FAMILIES.len(), |(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::row;

    #[test]
    fn the_longest_beginning_decides() {
        for (table, page) in [
            ("vmcs_field_high", "vmcs"),
            ("vmx_exit_reason", "vmx-exits"),
            ("vmx_instruction_error", "vmx"),
            ("ept_capability", "vmx-capabilities"),
            ("ept_entry", "ept"),
            ("eptp", "ept"),
            ("svm_vmgexit_code", "ghcb"),
            ("svm_msr", "svm"),
            ("ncr3", "npt"),
        ] {
            assert_eq!(FAMILIES[place_of(table)].page, page, "{table}");
        }
        assert_eq!(place_of("new"), FAMILIES.len());
    }

    #[test]
    fn every_table_is_on_one_page_and_in_the_index() {
        let table = |name: &str| Table { name: name.to_owned(), rows: vec![row(name, "", "A", &[], 1, 1)] };
        let pages = pages(vec![table("vmcs_field"), table("new"), table("vmcs_field_high")]);
        assert_eq!(pages.keys().collect::<Vec<_>>(), ["README.md", "other.md", "vmcs.md"]);
        assert!(pages["vmcs.md"].contains("## vmcs_field\n") && pages["vmcs.md"].contains("## vmcs_field_high\n"));
        assert!(pages["other.md"].contains("# Further tables\n"));
        assert!(pages["README.md"].ends_with(
            "| [Fields of the VMCS](vmcs.md#vmcs_field) | `vmcs_field` | 1 |\n\
             | [Fields of the VMCS](vmcs.md#vmcs_field_high) | `vmcs_field_high` | 1 |\n\
             | [Further tables](other.md#new) | `new` | 1 |\n"
        ));
    }
}
