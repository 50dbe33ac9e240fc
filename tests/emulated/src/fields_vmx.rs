//! Every field of the VMCS: what the processor has keeps values, what it has not fails as the manual says.
#![expect(unsafe_code, reason = "writes any value to any field of a VMCS that is not entered with it")]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use x86_virt::vmx::field::{self, Access, Encoding, FieldInfo, Width};
use x86_virt::vmx::{InstructionError, VmFail, VmcsRead as _, VmcsWrite as _, VmxVcpu};
use x86_virt::{AnyVcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::guest::Mode;
use crate::harness::{Outcome, ensure, fail};

type Vcpu<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// Encodings between those of fields, which no processor has.
const HOLES: [u32; 4] = [0x2046, 0x2048, 0x2050, 0x482c];

const UNSUPPORTED: VmFail = VmFail::Valid(InstructionError::UNSUPPORTED_FIELD);
const READ_ONLY: VmFail = VmFail::Valid(InstructionError::VMWRITE_READ_ONLY_FIELD);

/// Values whose bits are all written as 0 and as 1.
const PATTERNS: [u64; 4] = [0, u64::MAX, 0x5a5a_a5a5_3c3c_c3c3, 0xa5a5_5a5a_c3c3_3c3c];

/// Each field and each hole.
pub(crate) fn every_one(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &[], &VcpuConfig::new(), |guest| {
        let AnyVcpu::Vmx(vcpu) = &mut guest.vcpu else { fail!("no VMX") };
        let mut failures: Vec<String> = Vec::new();
        let mut supported = 0;
        for info in field::ALL {
            match check(vcpu, info) {
                Ok(true) => supported += 1,
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
fn check(vcpu: &mut Vcpu<'_, '_>, info: &FieldInfo) -> Outcome<bool> {
    let encoding = info.encoding;
    let original = match vcpu.vmcs().read_raw(encoding) {
        Ok(original) => original,
        Err(UNSUPPORTED) => {
            // SAFETY: there is no such field.
            let write = unsafe { vcpu.vmcs_mut().write_raw(encoding, 0) };
            ensure!(write == Err(UNSUPPORTED), "VMREAD says that there is none, and VMWRITE {write:?}");
            return Ok(false);
        }
        Err(fail) => fail!("VMREAD: {fail}"),
    };
    let mask = match encoding.width() {
        Width::Bits16 => 0xffff,
        Width::Bits32 => 0xffff_ffff,
        Width::Bits64 | Width::Natural => u64::MAX,
    };
    for pattern in PATTERNS.map(|pattern| pattern & mask) {
        // SAFETY: the processor uses the value at an entry, before which the original comes back.
        match unsafe { vcpu.vmcs_mut().write_raw(encoding, pattern) } {
            Ok(()) => {}
            Err(READ_ONLY) if info.access == Access::ReadOnly => break,
            Err(fail) => fail!("VMWRITE: {fail}"),
        }
        let read = vcpu.vmcs().read_raw(encoding);
        ensure!(read == Ok(pattern), "{pattern:#x} is read as {read:x?}");
    }
    // SAFETY: the value from before.
    match unsafe { vcpu.vmcs_mut().write_raw(encoding, original) } {
        Ok(()) => Ok(true),
        Err(READ_ONLY) if info.access == Access::ReadOnly => Ok(true),
        Err(fail) => fail!("VMWRITE of the original: {fail}"),
    }
}
