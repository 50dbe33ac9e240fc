//! VMX root operation belongs to one processor: the root cannot go to another thread.
use x86_virt::Frames;
use x86_virt::svm::SvmRoot;
use x86_virt::vmx::VmxRoot;

fn stays<T: Send>(_: T) {}

fn vmx<A: Frames + Send>(root: VmxRoot<'_, A>) {
    stays(root);
}

fn svm<A: Frames + Send>(root: SvmRoot<'_, A>) {
    stays(root);
}

fn main() {}
