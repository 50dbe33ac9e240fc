//! The fields of rules: a rule lists all that it reads of the VMCB and the VMSA.

use core::cell::RefCell;
use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::{Base, Case, pairs};
use crate::check::view::View;
use crate::check::{RULES, VmcbRead, VmrunContext};
use crate::dump::{VmcbDump, VmsaDump};
use crate::vmcb::save;

/// Bytes, with a note of which were read: where, as an offset in a VMCB, and how many.
struct Recorder<'r, S> {
    bytes: &'r S,
    start: usize,
    read: &'r RefCell<BTreeSet<(usize, usize)>>,
}

impl<S: VmcbRead> VmcbRead for Recorder<'_, S> {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        self.read.borrow_mut().insert((self.start + offset, bytes.len()));
        self.bytes.read(offset, bytes)
    }
}

/// Adds what rules read in `case` and do not list.
fn record(case: &Case, missing: &mut BTreeSet<String>) {
    let read = RefCell::default();
    let (vmcb, vmsa) = (VmcbDump::new(&case.vmcb), VmsaDump::new(&case.vmsa));
    let vmcb = Recorder { bytes: &vmcb, start: 0, read: &read };
    let vmsa = Recorder { bytes: &vmsa, start: save::START, read: &read };
    let context = VmrunContext { vmsa: Some(&vmsa), ..case.context };
    // This asks whether the guest is encrypted, for all rules.
    let view = View::new(&vmcb, Some(case.raw), &context);
    for rule in RULES {
        read.borrow_mut().clear();
        let _ = (rule.test)(&view);
        for (offset, bytes) in read.borrow().iter() {
            if !rule.fields.iter().any(|place| place.is_among(*offset, *bytes)) {
                missing.insert(format!("{} reads {bytes} bytes at {offset:#x}", rule.id));
            }
        }
    }
}

#[test]
fn a_rule_lists_what_it_reads() {
    let mut missing = BTreeSet::new();
    for base in Base::ALL {
        record(&base.case(), &mut missing);
    }
    for pair in pairs::PAIRS {
        for change in [pair.broken, pair.kept] {
            let mut case = pair.base.case();
            change(&mut case);
            record(&case, &mut missing);
        }
    }
    assert_eq!(missing.into_iter().collect::<Vec<_>>(), [""; 0]);
}
