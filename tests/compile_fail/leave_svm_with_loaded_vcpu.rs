//! SVM is not turned off while a virtual processor is loaded.
use x86_virt::Frames;
use x86_virt::svm::{ParkedVcpu, SvmRoot};

fn leave<A: Frames>(mut root: SvmRoot<'_, A>, vcpu: ParkedVcpu<'_, '_, A>) {
    let loaded = vcpu.load(&mut root);
    root.leave();
    drop(loaded);
}

fn main() {}
