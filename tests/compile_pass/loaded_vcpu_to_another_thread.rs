//! A loaded virtual processor belongs to one processor; a parked one may move.
use x86_virt::Frames;
use x86_virt::vmx::{ParkedVcpu, VmxVcpu};

fn moves<T: Send>(_: T) {}

fn parked<A: Frames + Send + Sync>(vcpu: ParkedVcpu<'_, '_, A>) {
    moves(vcpu);
}

fn main() {}
