//! A field that decides about the host is not written by safe code.
use x86_virt::vmx::VmcsWrite;
use x86_virt::vmx::field;

fn write(vmcs: &mut impl VmcsWrite) {
    let _ = vmcs.write(field::HOST_RSP, 0);
}

fn main() {}
