//! A VMCB field that decides about the host is not written by safe code.
use x86_virt::Frames;
use x86_virt::svm::SvmVcpu;
use x86_virt::svm::vmcb::{control, save};

fn write<A: Frames>(vcpu: &mut SvmVcpu<'_, '_, '_, A>) {
    vcpu.write(control::N_CR3, 0);
    let _ = vcpu.read(save::RSP);
}

fn main() {}
