//! The interrupt descriptor table, which all processors share.

#![expect(unsafe_code, reason = "takes the entries from the assembly and loads IDTR")]

use core::{
    arch::global_asm,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use x86::dtables::{DescriptorTablePointer, lidt};

use crate::{
    Verdict, apic,
    exit::exit_with,
    gdt::{self, Ist},
    interrupts, processor,
};

/// The vectors that are not exceptions: #BP counts like them, though it has the stack of exceptions.
const NMI: usize = 2;
const FIRST_INTERRUPT: usize = 32;

global_asm!(
    include_str!("interrupts.s"),
    counts = sym interrupts::COUNTS,
    interrupted = sym interrupts::INTERRUPTED,
    end_of_interrupt = const apic::END_OF_INTERRUPT,
    exception = sym exception,
    options(att_syntax),
);

unsafe extern "C" {
    // SAFETY: `interrupts.s` defines it, as 256 addresses that nobody writes.
    safe static machine_vectors: [u64; 256];
}

static IDT: [[AtomicU64; 2]; 256] = [const { [const { AtomicU64::new(0) }; 2] }; 256];

/// Fills the table; the bootstrap processor does.
pub(crate) fn fill() {
    for (vector, ([low, high], entry)) in IDT.iter().zip(&machine_vectors).enumerate() {
        let ist = match vector {
            NMI => Ist::Nmi,
            FIRST_INTERRUPT.. => Ist::Interrupt,
            _ => Ist::Exception,
        };
        low.store(gate(*entry, ist), Relaxed);
        high.store(entry >> 32, Relaxed);
    }
}

/// Loads IDTR of the calling processor.
pub(crate) fn load() {
    // SAFETY: CPL 0; the table is static, and each of its gates leads to an entry made for its vector, on a stack which
    // the TSS of this processor has since `gdt::load`.
    unsafe { lidt(&DescriptorTablePointer::new(&IDT)) };
}

/// The lower half of an interrupt gate, which turns interrupts off.
fn gate(entry: u64, ist: Ist) -> u64 {
    let present_interrupt_gate = 0x8E;
    entry & 0xFFFF
        | u64::from(gdt::CODE) << 16
        | ist.number() << 32
        | present_interrupt_gate << 40
        | (entry >> 16 & 0xFFFF) << 48
}

/// What `interrupts.s` leaves on the stack of an exception.
#[repr(C)]
struct Frame {
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// Ends the run.
extern "sysv64" fn exception(frame: &Frame) -> ! {
    let Frame { vector, error_code, rip, cs, rflags, rsp, ss } = frame;
    // SAFETY: CPL 0.
    let cr2 = unsafe { x86::controlregs::cr2() };
    exit_with(
        Verdict::Fail,
        format_args!(
            "EXCEPTION vector {vector} on processor {}: error code {error_code:#x}, RIP {rip:#x}, CS {cs:#x}, \
             RSP {rsp:#x}, SS {ss:#x}, CR2 {cr2:#x}, RFLAGS {rflags:#x}\n",
            processor(),
        ),
    )
}
