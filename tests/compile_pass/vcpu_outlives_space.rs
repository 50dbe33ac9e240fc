//! A virtual processor does not outlive its memory.
use x86_virt::{AnyVcpu, CreateError, Frames, Root, Space, VcpuConfig};

fn make<'r, 's, 'm, A: Frames>(
    root: &'r mut Root<'_, A>,
    space: &'s Space<'m, A>,
) -> Result<AnyVcpu<'r, 's, 'm, A>, CreateError> {
    root.vcpu(space, &VcpuConfig::new())
}

fn main() {}
