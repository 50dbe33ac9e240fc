//! Guest-linear addresses: segmentation.

use crate::io::low_dword;
use crate::segment::SegmentRegister;
use crate::vcpu::Vcpu;

/// The linear address of `offset` in `segment`. In 64-bit mode only FS and GS have a base.
///
/// Intel SDM vol. 3, section 3.4.4, "Segment Loading Instructions in IA-32e Mode".
pub(crate) fn address<V: Vcpu + ?Sized>(vcpu: &V, segment: SegmentRegister, offset: u64) -> u64 {
    let long = is_64_bit(vcpu);
    let base = match segment {
        SegmentRegister::Fs | SegmentRegister::Gs => vcpu.segment(segment).base,
        _ if long => 0,
        _ => vcpu.segment(segment).base,
    };
    let linear = base.wrapping_add(offset);
    if long { linear } else { u64::from(low_dword(linear)) }
}

/// Whether the guest executes 64-bit code.
pub(crate) fn is_64_bit<V: Vcpu + ?Sized>(vcpu: &V) -> bool {
    vcpu.efer().lma() && vcpu.segment(SegmentRegister::Cs).rights.long()
}
