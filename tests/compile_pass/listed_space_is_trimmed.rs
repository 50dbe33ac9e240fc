//! A space that a guest can switch to is not trimmed: its tables may be in use.
use x86_virt::ept::EptFormat;
use x86_virt::vmx::{EptpSpaces, EptpSwitchingError, VmxVcpu};
use x86_virt::{AddressSpace, Frames};

fn give<'s, 'm, A: Frames>(
    vcpu: &mut VmxVcpu<'_, 's, 'm, A>,
    spaces: &'s [&'s AddressSpace<'m, EptFormat, A>],
    frames: &A,
) -> Result<(), EptpSwitchingError> {
    let list = EptpSpaces::new(vcpu.capabilities(), frames, spaces)?;
    vcpu.set_eptp_spaces(list)
}

fn main() {}
