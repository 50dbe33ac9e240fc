//! A parked virtual processor does not run.
use x86_virt::svm::{ParkedVcpu, SvmRoot};
use x86_virt::{Frames, Vcpu};

fn run<A: Frames>(root: &mut SvmRoot<'_, A>, vcpu: ParkedVcpu<'_, '_, A>) {
    if let Ok(mut vcpu) = vcpu.load(root) {
        let _ = vcpu.run();
    }
}

fn main() {}
