//! VMX operation is not left while a VMCS is current.
use x86_virt::Frames;
use x86_virt::vmx::{Vmcs, VmxRoot};

fn leave<A: Frames>(mut root: VmxRoot<'_, A>, vmcs: Vmcs<A>) {
    let current = root.load(vmcs);
    drop(current);
    root.leave();
}

fn main() {}
