//! Rules of the guest state.

mod link_pointer;
mod non_register;
mod page_directories;
mod registers;
mod segment_rights;
mod segments;
mod tables;

#[cfg(test)]
pub(super) use segments::of as segment_fields;

use super::rule::{Rule, Section};

/// In the order of the manual.
pub(super) const GROUPS: &[&[Rule]] = &[
    registers::CONTROL,
    registers::MSRS,
    registers::SPEC_CTRL,
    registers::FRED,
    segments::SELECTORS,
    segments::BASES,
    segments::LIMITS,
    segment_rights::VIRTUAL_8086,
    segment_rights::CODE_AND_STACK_TYPES,
    segment_rights::DATA_TYPES,
    segment_rights::CODE_OR_DATA_BITS,
    segment_rights::CODE_AND_STACK_PRIVILEGE,
    segment_rights::DATA_PRIVILEGE,
    segment_rights::PRESENT_BITS,
    segment_rights::RESERVED_BITS,
    segment_rights::DEFAULT_SIZE,
    segment_rights::GRANULARITIES,
    segment_rights::TR,
    segment_rights::LDTR,
    tables::DESCRIPTOR_TABLES,
    tables::RIP_AND_RFLAGS,
    non_register::ACTIVITY,
    non_register::INTERRUPTIBILITY,
    non_register::BLOCKED_NMI,
    non_register::LATER_INTERRUPTIBILITY,
    non_register::PENDING_DEBUG,
    link_pointer::RULES,
    page_directories::RULES,
];

const REGISTERS: Section =
    Section { number: "29.3.1.1", title: "Checks on Guest Control Registers, Debug Registers, and MSRs" };

const SEGMENTS: Section = Section { number: "29.3.1.2", title: "Checks on Guest Segment Registers" };

const TABLES: Section = Section { number: "29.3.1.3", title: "Checks on Guest Descriptor-Table Registers" };

const RIP_AND_RFLAGS: Section = Section { number: "29.3.1.4", title: "Checks on Guest RIP, RFLAGS, and SSP" };

const NON_REGISTER: Section = Section { number: "29.3.1.5", title: "Checks on Guest Non-Register State" };

const PAGE_DIRECTORIES: Section =
    Section { number: "29.3.1.6", title: "Checks on Guest Page-Directory-Pointer-Table Entries" };
