//! A loaded virtual processor belongs to one processor; a parked one may move.
use x86_virt::Frames;
use x86_virt::vmx::{ParkedVcpu, VmxVcpu};

fn moves<T: Send>(_: T) {}

fn loaded<A: Frames + Send + Sync>(vcpu: VmxVcpu<'_, '_, '_, A>) {
    moves(vcpu);
}

fn main() {}
