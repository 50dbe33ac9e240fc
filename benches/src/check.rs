//! What a check of a VM entry costs: `cargo xtask bench check`.
//!
//! A long-mode guest that enters is checked on each processor of which the library has a profile, and one whose fields are all zero.
//! Callgrind counts the instructions, and the allocator of this program whether anything is allocated.
//!
//! One line of JSON for each goes to standard output.

mod allocations;
mod callgrind;

use core::hint::black_box;
use std::ffi::CString;

use x86_virt::svm::check::VmrunContext;
use x86_virt::svm::{self, VmcbDump};
use x86_virt::vmx::{self, Capabilities, FakeVmcs, VmcsDump, field};

/// What enters, but for the control words of VMX, which depend on the processor. What they do not name is 0.
const VMX: &str = include_str!("../states/vmx-long.txt");
const SVM: &str = include_str!("../states/svm-long.txt");

fn main() {
    let long = VmcsDump::parse(VMX).unwrap_or_else(|error| panic!("{error}"));
    for profile in vmx::profile::ALL {
        let capabilities = profile.capabilities();
        match entering(&long, &capabilities) {
            Some(vmcs) => vmx(&vmcs, &capabilities, &format!("long mode, {}", profile.name)),
            None => eprintln!("{} has no long mode", profile.name),
        }
    }
    let capabilities = vmx::profile::SAPPHIRE_RAPIDS.capabilities();
    vmx(&FakeVmcs::new(), &capabilities, &format!("all zero, {}", vmx::profile::SAPPHIRE_RAPIDS.name));

    let long = VmcbDump::parse(SVM).unwrap_or_else(|error| panic!("{error}"));
    for profile in svm::profile::ALL {
        svm(&long, profile, &format!("long mode, {}", profile.name));
    }
    let profile = &svm::profile::TURIN;
    svm(&VmcbDump::from_bytes([0; 4096]), profile, &format!("all zero, {}", profile.name));
}

/// Bits of control words: secondary controls; EPT; a host with 64-bit addresses; a guest in IA-32e mode.
const SECONDARY: u32 = 1 << 31;
const EPT: u32 = 1 << 1;
const HOST_64: u32 = 1 << 9;
const IA32E: u32 = 1 << 9;

/// The guest with the control words that the processor needs, if it enters then.
fn entering(long: &VmcsDump, capabilities: &Capabilities) -> Option<FakeVmcs> {
    let mut vmcs = FakeVmcs::new();
    for (info, value) in long.fields() {
        vmcs.set_raw(info.encoding.get(), value.unwrap_or_default());
    }
    /// The bits that a word must have, and those that are wanted and may be.
    macro_rules! put {
        ($($word:ident $field:ident $wanted:expr;)*) => {
            $({
                let capability = capabilities.$word();
                let value = capability.must_be_one().into_bits() | $wanted & capability.may_be_one().into_bits();
                vmcs.set_raw(field::$field.encoding().get(), value.into());
            })*
        };
    }
    put! {
        pin PIN_CONTROLS 0;
        primary PRIMARY_CONTROLS SECONDARY;
        secondary SECONDARY_CONTROLS EPT;
        exit EXIT_CONTROLS HOST_64;
        entry ENTRY_CONTROLS IA32E;
    }
    if capabilities.entry().may_be_one().into_bits() & IA32E == 0 {
        return None;
    }
    let report = vmx::check(&vmcs, capabilities);
    assert!(report.violations().next().is_none() && report.is_certain(), "{report:?}");
    Some(vmcs)
}

fn vmx(vmcs: &FakeVmcs, capabilities: &Capabilities, state: &str) {
    measure("vmx", state, || vmx::check(black_box(vmcs), black_box(capabilities)).violations().count());
}

fn svm(vmcb: &VmcbDump, profile: &svm::profile::Profile, state: &str) {
    let raw = profile.raw;
    measure("svm", state, || {
        svm::check::check(black_box(vmcb), black_box(raw), VmrunContext::UNKNOWN).violations().count()
    });
}

/// Counts what `check` does, and tells how many rules it found broken.
fn measure(checker: &str, state: &str, check: impl Fn() -> usize) {
    let dump = format!("{checker}: {state}");
    let name = CString::new(dump.as_str()).unwrap_or_default();
    let before = allocations::allocations();
    callgrind::start();
    let violations = black_box(check());
    callgrind::stop(&name);
    let allocations = allocations::allocations() - before;
    println!(
        r#"{{"checker":"{checker}","state":"{state}","violations":{violations},"allocations":{allocations},"dump":"{dump}"}}"#
    );
}
