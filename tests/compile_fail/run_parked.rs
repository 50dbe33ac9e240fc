//! A parked virtual processor does not run.
use x86_virt::svm::{ParkedVcpu, SvmRoot};
use x86_virt::{Frames, Vcpu};

fn run<A: Frames>(_: &mut SvmRoot<'_, A>, mut vcpu: ParkedVcpu<'_, '_, A>) {
    let _ = vcpu.run();
}

fn uses<V: Vcpu>(_: V) {}

fn main() {}
