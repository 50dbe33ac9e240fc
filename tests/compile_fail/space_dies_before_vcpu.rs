//! Memory that a virtual processor is given later lives as long as it.
use x86_virt::{AnyVcpu, CreateError, Frames, Space};

fn switch<'s, 'm, A: Frames>(
    vcpu: &mut AnyVcpu<'_, 's, 'm, A>,
    other: Space<'m, A>,
) -> Result<(), CreateError> {
    vcpu.set_space(&other)
}

fn main() {}
