//! Every field of the VMCS: what the processor has keeps values, what it has not fails as the manual says.
#![expect(unsafe_code, reason = "writes any value to any field of a VMCS that is not entered with it")]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use x86_virt::vmx::field::{self, Access, Encoding, FieldInfo};
use x86_virt::vmx::{Capabilities, InstructionError, VmFail, VmcsRead as _, VmcsWrite as _, VmxVcpu};
use x86_virt::{AnyVcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::coverage;
use crate::guest::Mode;
use crate::harness::{Outcome, ensure, ensure_eq, fail};

type Vcpu<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// Encodings between those of fields, which no processor has.
const HOLES: [u32; 4] = [0x2046, 0x2048, 0x2050, 0x482c];

const UNSUPPORTED: VmFail = VmFail::Valid(InstructionError::UNSUPPORTED_FIELD);
const READ_ONLY: VmFail = VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD);

/// Values whose bits are all written as 0 and as 1.
const PATTERNS: [u64; 4] = [0, u64::MAX, 0x5a5a_a5a5_3c3c_c3c3, 0xa5a5_5a5a_c3c3_3c3c];

/// A field of whose existence no capability MSR tells: it depends on APX.
const OF_APX: &str = "EXTENDED_INSTRUCTION_INFORMATION";

/// Whether capabilities tell if the processor has the field.
fn is_told(info: &FieldInfo) -> bool {
    // What some provisional fields depend on is not known.
    info.name != OF_APX && !(info.provisional && info.requires.is_empty())
}

/// Each field and each hole. On the bootstrap processor: in Bochs 2.7 the others claim to have every field.
pub(crate) fn every_one(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &[], &VcpuConfig::new(), |guest| {
        let AnyVcpu::Vmx(vcpu) = &mut guest.vcpu else { fail!("no VMX") };
        let capabilities = *vcpu.capabilities();
        let mut failures: Vec<String> = Vec::new();
        let mut supported = 0;
        for info in field::ALL {
            match check(vcpu, info, &capabilities) {
                Ok(true) => {
                    supported += 1;
                    coverage::field(info);
                }
                Ok(false) => {}
                Err(why) => failures.push(format!("{}: {why}", info.name)),
            }
        }
        for hole in HOLES.map(Encoding::new) {
            let read = vcpu.vmcs().read_raw(hole);
            // SAFETY: there is no such field.
            let write = unsafe { vcpu.vmcs_mut().write_raw(hole, 0) };
            if (read, write) != (Err(UNSUPPORTED), Err(UNSUPPORTED)) {
                failures.push(format!("{hole}: {read:x?}, {write:x?}"));
            }
        }
        ensure!(failures.is_empty(), "{}", failures.join("; "));
        machine::println!("VMCS fields that this processor has: {supported} of {}", field::ALL.len());
        Ok(())
    })
}

/// Whether the processor has the field, after it was tried.
fn check(vcpu: &mut Vcpu<'_, '_>, info: &FieldInfo, capabilities: &Capabilities) -> Outcome<bool> {
    let encoding = info.encoding;
    let read = vcpu.vmcs().read_raw(encoding);
    if is_told(info) {
        ensure_eq!(read.is_ok(), info.is_supported(capabilities), "whether the processor has it");
    }
    match read {
        Ok(original) => keeps_values(vcpu, info, original, capabilities).map(|()| true),
        Err(UNSUPPORTED) => {
            // SAFETY: there is no such field.
            let write = unsafe { vcpu.vmcs_mut().write_raw(encoding, 0) };
            ensure!(write == Err(UNSUPPORTED), "VMREAD says that there is none, and VMWRITE {write:?}");
            Ok(false)
        }
        Err(fail) => fail!("VMREAD: {fail}"),
    }
}

/// The field keeps any value of its width, in the type too, and its halves are what they are of the whole.
fn keeps_values(vcpu: &mut Vcpu<'_, '_>, info: &FieldInfo, original: u64, capabilities: &Capabilities) -> Outcome {
    let encoding = info.encoding;
    if info.access == Access::ReadOnly && !capabilities.misc().vmwrite_any_field() {
        // SAFETY: the processor refuses it.
        let write = unsafe { vcpu.vmcs_mut().write_raw(encoding, original) };
        ensure_eq!(write, Err(READ_ONLY), "VMWRITE");
        return Ok(());
    }
    let mask = u64::MAX >> (64 - encoding.width().bits());
    for pattern in PATTERNS.map(|pattern| pattern & mask) {
        // SAFETY: the processor uses the value at an entry, before which the original comes back.
        unsafe { vcpu.vmcs_mut().write_raw(encoding, pattern) }?;
        ensure_eq!(vcpu.vmcs().read_raw(encoding)?, pattern, "value");
        ensure_eq!(info.through_type(pattern), pattern, "value in its type");
        if let Some(high) = encoding.high_half() {
            ensure_eq!(vcpu.vmcs().read_raw(high)?, pattern >> 32, "high half");
            // SAFETY: as above.
            unsafe { vcpu.vmcs_mut().write_raw(high, 0x1234_5678) }?;
            ensure_eq!(vcpu.vmcs().read_raw(encoding)?, pattern & 0xffff_ffff | 0x1234_5678 << 32, "whole");
        }
    }
    // SAFETY: the value from before.
    unsafe { vcpu.vmcs_mut().write_raw(encoding, original) }?;
    Ok(())
}
