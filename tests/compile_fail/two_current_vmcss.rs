//! One VMCS is current on a processor.
use x86_virt::Frames;
use x86_virt::vmx::{Vmcs, VmxRoot};

fn load<A: Frames>(root: &mut VmxRoot<'_, A>, one: Vmcs<A>, other: Vmcs<A>) {
    let first = root.load(one);
    let second = root.load(other);
    drop(first);
    drop(second);
}

fn main() {}
