//! A read-only field cannot be written.
use x86_virt::vmx::VmcsWrite;
use x86_virt::vmx::field;

fn write(vmcs: &mut impl VmcsWrite) {
    let _ = vmcs.write(field::GUEST_RIP, 0);
}

fn main() {}
