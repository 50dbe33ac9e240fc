//! What the decoding of an exit costs: `cargo xtask bench exit`.
//!
//! Callgrind counts the instructions of a function that reads the reason and decodes the exit, for CPUID alone and for ten kinds of
//! exits in turn, with the call; what the loop around it takes is counted apart. A field is one load. The allocator of this program counts
//! what is allocated, and the library's counting backend the fields that are read.
//!
//! One line of JSON for each goes to standard output.

mod allocations;
mod callgrind;

use core::hint::black_box;
use std::ffi::CString;

use x86_virt::svm::{self, ExitCode, ExitContext, SvmExit};
use x86_virt::vmx::field::Encoding;
use x86_virt::vmx::{self, BasicExitReason, CountingVmcs, ExitReason, VmFail, VmcsRead, field};
use x86_virt::{AddressSize, ExitKind, Gprs};

/// The fields that decoding may read.
#[derive(Clone, Copy, Default)]
struct Fields {
    reason: u64,
    qualification: u64,
    gpa: u64,
    gva: u64,
    information: u64,
}

impl VmcsRead for Fields {
    #[inline(always)]
    fn read_raw(&self, encoding: Encoding) -> Result<u64, VmFail> {
        const REASON: u32 = field::EXIT_REASON.encoding().get();
        const QUALIFICATION: u32 = field::EXIT_QUALIFICATION.encoding().get();
        const GPA: u32 = field::GUEST_PHYSICAL_ADDRESS.encoding().get();
        const GVA: u32 = field::GUEST_LINEAR_ADDRESS.encoding().get();
        const INFORMATION: u32 = field::EXIT_INSTRUCTION_INFORMATION.encoding().get();
        match encoding.get() {
            REASON => Ok(self.reason),
            QUALIFICATION => Ok(self.qualification),
            GPA => Ok(self.gpa),
            GVA => Ok(self.gva),
            INFORMATION => Ok(self.information),
            _ => Err(VmFail::Invalid),
        }
    }
}

/// Each is decoded so often.
const TURNS: usize = 1000;

fn main() {
    let gprs = Gprs { rcx: 0x10, ..Gprs::default() };
    let vmx = [
        (BasicExitReason::CPUID, 0),
        (BasicExitReason::HLT, 0),
        // OUT of a byte to 0x3f8.
        (BasicExitReason::IO_INSTRUCTION, 0x03f8_0000),
        (BasicExitReason::RDMSR, 0),
        (BasicExitReason::WRMSR, 0),
        (BasicExitReason::VMCALL, 0),
        // A write to what is not mapped, with a linear address.
        (BasicExitReason::EPT_VIOLATION, 0x182),
        (BasicExitReason::EXTERNAL_INTERRUPT, 0),
        (BasicExitReason::INTERRUPT_WINDOW, 0),
        // MOV to CR0 from RAX.
        (BasicExitReason::CONTROL_REGISTER_ACCESS, 0),
    ]
    .map(|(reason, qualification)| Fields {
        reason: ExitReason::from(reason).into_bits().into(),
        qualification,
        gpa: 0xfee0_0000,
        gva: 0x1000,
        information: 0,
    });
    let [cpuid, ..] = vmx;
    measure("vmx", "CPUID", &[cpuid], vmx_reads(&[cpuid], &gprs), |fields| decode_vmx(fields, &gprs));
    measure("vmx", "mix of ten", &vmx, vmx_reads(&vmx, &gprs), |fields| decode_vmx(fields, &gprs));

    let svm = [
        (ExitCode::CPUID, 0, 0),
        (ExitCode::HLT, 0, 0),
        // OUT of a byte to 0x3f8.
        (ExitCode::IOIO, 0x03f8_0210, 0),
        (ExitCode::MSR, 0, 0),
        (ExitCode::MSR, 1, 0),
        (ExitCode::VMMCALL, 0, 0),
        (ExitCode::NPF, 0x1_0000_0006, 0xfee0_0000),
        (ExitCode::INTR, 0, 0),
        (ExitCode::VINTR, 0, 0),
        // MOV to CR0 from RAX.
        (ExitCode::CR0_WRITE, 1 << 63, 0),
    ]
    .map(|(code, info1, info2)| SvmExit { code, info1, info2 });
    let [cpuid, ..] = svm;
    let context = ExitContext {
        gprs: &gprs,
        is_protected: true,
        default_address_size: AddressSize::Bits64,
        has_decode_assists: true,
        is_delivering: false,
    };
    measure("svm", "CPUID", &[cpuid], 0, |exit| decode_svm(*exit, context));
    measure("svm", "mix of ten", &svm, 0, |exit| decode_svm(*exit, context));
}

#[inline(never)]
fn decode_vmx(fields: &Fields, gprs: &Gprs) -> ExitKind {
    vmx::decode_exit(fields.get(field::EXIT_REASON), fields, gprs)
}

#[inline(never)]
fn decode_svm(exit: SvmExit, context: ExitContext<'_>) -> ExitKind {
    svm::decode_exit(exit, context, || None)
}

/// How many fields the decoding of all reads.
fn vmx_reads(exits: &[Fields], gprs: &Gprs) -> u64 {
    let reads = |fields: &Fields| {
        let vmcs = CountingVmcs::new(*fields);
        let kind = vmx::decode_exit(vmcs.get(field::EXIT_REASON), &vmcs, gprs);
        assert!(kind != ExitKind::Vendor, "{:#x}", fields.reason);
        vmcs.reads()
    };
    exits.iter().map(reads).sum()
}

/// Counts what `decode` does, and what the loop around it does.
fn measure<T>(vendor: &str, exits: &str, list: &[T], reads: u64, decode: impl Fn(&T) -> ExitKind) {
    let dump = format!("{vendor}: {exits}");
    let empty = format!("{vendor}: {exits}: loop");
    let allocations = allocations::allocations();
    count(&dump, list, decode);
    // The name of the dump is one.
    let allocations = allocations::allocations() - allocations - 1;
    count(&empty, list, |_| ExitKind::Cpuid);
    println!(
        r#"{{"vendor":"{vendor}","exits":"{exits}","count":{},"reads":{reads},"kinds":{},"allocations":{allocations},"dump":"{dump}","loop":"{empty}"}}"#,
        TURNS * list.len(),
        list.len(),
    );
}

#[inline(never)]
fn count<T>(dump: &str, list: &[T], decode: impl Fn(&T) -> ExitKind) {
    let name = CString::new(dump).unwrap_or_default();
    callgrind::start();
    for _ in 0..TURNS {
        for exit in list {
            // By reference: the kind is not copied once more.
            black_box(&decode(black_box(exit)));
        }
    }
    callgrind::stop(&name);
}
