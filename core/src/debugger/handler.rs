//! Where the handler of an event is.

use crate::GuestMemory;
use crate::addr::Gva;
use crate::event::{Event, Exception};
use crate::guest_paging::{GuestPaging, Privilege};
use crate::register::{ControlRegister, Cr0};
use crate::segment::SegmentRegister;
use crate::vcpu::Vcpu;

/// The linear address of the first instruction that the guest executes when it takes `event`. `None` if its tables do not say: the delivery
/// raises an exception then, or switches tasks.
///
/// Intel SDM vol. 3, section 7.11, "IDT Descriptors"; section 21.1.4, "Interrupt and Exception Handling" (real mode); section 7.14.1,
/// "64-Bit Mode IDT".
pub(super) fn address<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, event: Event) -> Option<Gva> {
    let vector = u64::from(match event {
        Event::Exception(Exception { vector, .. })
        | Event::Interrupt(vector)
        | Event::SoftwareInterrupt { vector, .. }
        | Event::SoftwareException { vector, .. } => vector,
        Event::Nmi => 2,
        Event::PrivilegedSoftwareException { .. } => 1,
    });
    let table = vcpu.idtr().base;
    if !Cr0::from(vcpu.control(ControlRegister::Cr0)).pe() {
        let entry = read::<4, V>(vcpu, memory, table.wrapping_add(4 * vector))?;
        let [offset, offset1, selector, selector1] = entry;
        let base = u64::from(u16::from_le_bytes([selector, selector1])) << 4;
        return Some(Gva::new(base + u64::from(u16::from_le_bytes([offset, offset1]))));
    }
    let is_long = vcpu.efer().lma();
    let size = if is_long { 16 } else { 8 };
    let entry = table.wrapping_add(size * vector);
    let [a, b, selector, selector1, _, kind, c, d] = read::<8, V>(vcpu, memory, entry)?;
    let selector = u16::from_le_bytes([selector, selector1]);
    let low = u32::from_le_bytes([a, b, c, d]);
    if is_long {
        // Handlers are 64-bit code, whose base is 0.
        let high = u32::from_le_bytes(read::<4, V>(vcpu, memory, entry.wrapping_add(8))?);
        return Some(Gva::new(u64::from(high) << 32 | u64::from(low)));
    }
    let offset = match kind & 0xf {
        GATE_32 | TRAP_32 => low,
        GATE_16 | TRAP_16 => low & 0xffff,
        _ => return None,
    };
    // The privilege level that the selector asks for does not count.
    let state = vcpu.state();
    let of_level = |level| state.load_segment(SegmentRegister::Cs, selector & !3 | level, memory).ok();
    let code = (0..4).find_map(of_level)?;
    Some(Gva::new(code.base.wrapping_add(u64::from(offset)) & 0xffff_ffff))
}

/// Types of gates.
const GATE_16: u8 = 6;
const TRAP_16: u8 = 7;
const GATE_32: u8 = 14;
const TRAP_32: u8 = 15;

/// Bytes of a table that the processor reads itself.
fn read<const N: usize, V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, address: u64) -> Option<[u8; N]> {
    let address = if vcpu.efer().lma() { address } else { address & 0xffff_ffff };
    let mut bytes = [0; N];
    GuestPaging::of(vcpu).read(memory, Gva::new(address), Privilege::Supervisor, &mut bytes).ok()?;
    Some(bytes)
}
