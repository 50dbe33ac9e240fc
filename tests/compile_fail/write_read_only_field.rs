//! A read-only field cannot be written.
use x86_virt::vmx::VmcsWrite;
use x86_virt::vmx::field;

fn write(vmcs: &mut impl VmcsWrite) {
    let _ = vmcs.write(field::EXIT_QUALIFICATION, 0);
}

fn main() {}
