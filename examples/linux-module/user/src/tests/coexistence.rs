//! The module beside KVM, and beside what Linux does to its processors.
#![expect(unsafe_code, reason = "calls ioctl")]

use std::fs::{self, File};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, ensure};
use linux_module_abi::Ending;
use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, delete_module};

use super::{MODULE, hello, insert, load_module, processors, unload_module};
use crate::device::{Device, Request};
use crate::guests;
use crate::kernel_log::KernelLog;

nix::ioctl_write_int_bad!(kvm_create_vm, nix::request_code_none!(0xae, 1));

/// A virtual machine of KVM: while one exists, KVM uses VMX or SVM on all processors.
fn create_vm() -> anyhow::Result<Result<OwnedFd, Errno>> {
    let kvm = File::options().read(true).write(true).open("/dev/kvm").context("/dev/kvm")?;
    // SAFETY: the call makes a file descriptor, and takes no pointer.
    Ok(unsafe { kvm_create_vm(kvm.as_raw_fd(), 0) }.map(|descriptor| {
        // SAFETY: the descriptor is new, and nobody else's.
        unsafe { OwnedFd::from_raw_fd(descriptor) }
    }))
}

fn load_kvm() -> anyhow::Result<()> {
    insert("/irqbypass.ko").context("irqbypass.ko")?;
    insert("/kvm.ko").context("kvm.ko")?;
    insert(if guests::is_amd() { "/kvm-amd.ko" } else { "/kvm-intel.ko" }).context("KVM of the vendor")
}

fn unload_kvm() -> anyhow::Result<()> {
    let vendor = if guests::is_amd() { c"kvm_amd" } else { c"kvm_intel" };
    for name in [vendor, c"kvm", c"irqbypass"] {
        delete_module(name, DeleteModuleFlags::O_NONBLOCK).with_context(|| format!("unloading {name:?}"))?;
    }
    Ok(())
}

/// While KVM has a virtual machine, the module is not loaded, and the log says why; afterwards it is.
pub(super) fn kvm_first() -> anyhow::Result<()> {
    load_kvm()?;
    let vm = create_vm()??;
    let mut log = KernelLog::from_now()?;
    let result = insert(MODULE);
    ensure!(result == Err(Errno::EBUSY), "with a virtual machine of KVM: {result:?}");
    let lines = log.lines()?;
    ensure!(lines.iter().any(|line| line.contains("is in use on this processor")), "not in the log: {lines:?}");
    drop(vm);
    load_module()?;
    hello(&Device::open()?, -1)?;
    unload_module()?;
    drop(create_vm()??);
    Ok(())
}

/// While the module is loaded, KVM makes no virtual machine, and says that it is busy; guests go on, and afterwards it does. KVM's modules are loaded.
pub(super) fn module_first() -> anyhow::Result<()> {
    load_module()?;
    let device = Device::open()?;
    hello(&device, -1)?;
    let result = create_vm()?.map(|_| ());
    ensure!(result == Err(Errno::EBUSY), "KVM beside the module: {result:?}");
    hello(&device, -1)?;
    drop(device);
    unload_module()?;
    drop(create_vm()??);
    unload_kvm()
}

/// A processor goes while a guest may be on it, comes again, and runs guests.
pub(super) fn processors_go_and_come() -> anyhow::Result<()> {
    load_module()?;
    let device = Device::open()?;
    let all = processors()?;
    let last = all - 1;
    if last > 0 {
        let online = format!("/sys/devices/system/cpu/cpu{last}/online");
        let outcome = std::thread::scope(|scope| {
            let image = guests::worker();
            let device = &device;
            let guest = scope
                .spawn(move || device.run(&Request { processor: last, milliseconds: 600, ..Request::new(&image) }));
            std::thread::sleep(core::time::Duration::from_millis(200));
            fs::write(&online, "0")?;
            let status = device.status()?;
            ensure!(status.processors == u64::try_from(last)?, "after one has gone: {status:?}");
            guest.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked"))
        })?;
        // Linux moves its thread elsewhere, and the library the guest.
        ensure!(outcome.run.ending == Ending::TIME, "{:?}: {}", outcome.run, outcome.text());
        ensure!(outcome.run.last_processor != u32::try_from(last)?, "{:?}", outcome.run);
        fs::write(&online, "1")?;
        let status = device.status()?;
        ensure!(status.processors == u64::try_from(all)?, "after it has come: {status:?}");
    }
    hello(&device, last)?;
    drop(device);
    unload_module()
}
