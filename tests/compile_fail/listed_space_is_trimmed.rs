//! A space that a guest can switch to is not trimmed: its tables may be in use.
use x86_virt::ept::EptFormat;
use x86_virt::vmx::{EptpSpaces, VmxVcpu};
use x86_virt::{AddressSpace, Frames};

fn give<'m, A: Frames>(
    vcpu: &mut VmxVcpu<'_, '_, 'm, A>,
    mut space: AddressSpace<'m, EptFormat, A>,
    frames: &A,
) -> Option<usize> {
    let spaces = [&space];
    let list = EptpSpaces::new(vcpu.capabilities(), frames, &spaces).ok()?;
    let trimmed = space.trim();
    drop(list);
    Some(trimmed)
}

fn main() {}
