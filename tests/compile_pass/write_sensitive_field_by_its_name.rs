//! The function that writes sensitive fields is unsafe.
use x86_virt::vmx::VmcsWrite;
use x86_virt::vmx::field;

fn write(vmcs: &mut impl VmcsWrite) {
    // SAFETY: never called.
    let _ = unsafe { vmcs.write_sensitive(field::HOST_RSP, 0) };
}

fn main() {}
