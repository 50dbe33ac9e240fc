//! Rules of control fields.

mod allowed;
mod entry;
mod execution;
mod exit;
mod paging;
mod virtual_apic;

pub(super) use entry::{injected, injects};

use x86_virt_core::Hpa;

use super::rule::{Rule, Section};
use super::view::{Missing, Outcome, View, when};
use crate::field::{AccessClass, Field, FieldValue, Sensitive};

/// In the order of the manual.
pub(super) const GROUPS: &[&[Rule]] = &[
    allowed::EXECUTION,
    execution::BITMAPS,
    virtual_apic::PAGE,
    execution::NMIS,
    virtual_apic::INTERRUPTS,
    execution::VPID,
    paging::EPT,
    allowed::VM_FUNCTIONS,
    paging::EPTP_LIST,
    execution::LATER,
    paging::TERTIARY,
    virtual_apic::TERTIARY,
    execution::SEAM,
    execution::UNCHECKED,
    allowed::EXIT,
    exit::RULES,
    allowed::ENTRY,
    entry::EVENT,
    entry::REST,
];

/// Any of the rules.
pub(super) const FIRST: Rule = match allowed::EXECUTION {
    [first, ..] => *first,
    [] => panic!("no rule"),
};

/// The VM-execution controls.
pub(super) const EXECUTION: Section = Section { number: "29.2.1.1", title: "VM-Execution Control Fields" };

/// The VM-exit controls.
pub(super) const EXIT: Section = Section { number: "29.2.1.2", title: "VM-Exit Control Fields" };

/// The VM-entry controls.
pub(super) const ENTRY: Section = Section { number: "29.2.1.3", title: "VM-Entry Control Fields" };

/// If `condition` is true, the address in `field` must be aligned to `alignment` bytes and as short as addresses are.
fn address<T: FieldValue, A: AccessClass>(
    view: &View<'_>,
    condition: Result<bool, Missing>,
    field: Field<T, A>,
    alignment: u64,
) -> Outcome {
    when(condition, || {
        let address = view.get(field)?.into_raw();
        if address & (alignment - 1) != 0 {
            return Ok(false);
        }
        Ok(address == 0 || address & view.beyond_structures()? == 0)
    })
}

/// If `count` is not 0, the area of MSRs at `address` must be aligned and begin inside the address width.
fn area_begins(view: &View<'_>, count: Field<u32, Sensitive>, address_field: Field<Hpa, Sensitive>) -> Outcome {
    address(view, view.get(count).map(|count| count != 0), address_field, 16)
}

/// If `count` is not 0, the last byte of the area of MSRs at `address` must be inside the address width.
fn area_ends(view: &View<'_>, count: Field<u32, Sensitive>, address: Field<Hpa, Sensitive>) -> Outcome {
    let count = view.get(count);
    when(count.map(|count| count != 0), || {
        let bytes = u64::from(count?) * 16;
        let last = view.get(address)?.get().checked_add(bytes.saturating_sub(1));
        let beyond = view.beyond_structures()?;
        Ok(last.is_some_and(|last| last & beyond == 0))
    })
}
