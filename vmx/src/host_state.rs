//! The host's state: what a VM exit loads from the VMCS, and what it leaves to software.
#![expect(unsafe_code, reason = "decides with what state the host goes on")]

use x86::msr;
use x86::segmentation::SegmentSelector;
use x86_virt_core::{Cr0, Cr4, DescriptorTable, Efer, Frames, Host};

use crate::access::VmcsWrite;
use crate::field::{self, Field, FieldValue, Sensitive};
use crate::instructions;
use crate::switch;
use crate::vmcs::CurrentVmcs;

/// Limit of GDTR and IDTR after a VM exit.
///
/// Intel SDM vol. 3, section 30.5.2, "Loading Host Segment and Descriptor-Table Registers".
const TABLE_LIMIT_AFTER_EXIT: u16 = 0xffff;

/// The host's state as it is while a virtual processor is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostState {
    /// Fields that the host may change between two runs, as the VMCS has them.
    cr0: u64,
    cr3: u64,
    cr4: u64,
    fs_base: u64,
    gs_base: u64,
    /// What a VM exit changes, and the host does not while the virtual processor is loaded.
    gdtr: DescriptorTable,
    idtr: DescriptorTable,
    debugctl: u64,
    segments: Option<Segments>,
    /// A VM exit leaves all of these as they are.
    is_kept: bool,
}

impl HostState {
    /// Takes the state of the processor that the VMCS is current on, and writes it to the VMCS.
    pub(crate) fn load<A: Frames>(host: Host<'_>, vmcs: &mut CurrentVmcs<'_, A>) -> Self {
        let mut state = Self {
            is_kept: false,
            cr0: host.cr0(),
            cr3: host.cr3(),
            cr4: host.cr4(),
            fs_base: host.fs_base(),
            gs_base: host.gs_base(),
            gdtr: host.gdtr(),
            idtr: host.idtr(),
            // SAFETY: every processor with VMX has IA32_DEBUGCTL.
            debugctl: unsafe { host.msr(msr::IA32_DEBUGCTL) },
            segments: Segments::to_restore(),
        };
        let has_limits = state.gdtr.limit == TABLE_LIMIT_AFTER_EXIT && state.idtr.limit == TABLE_LIMIT_AFTER_EXIT;
        state.is_kept = has_limits && state.debugctl == 0 && state.segments.is_none();
        // SAFETY: every value below is the one that the host has now, and keeps until `sync` sees that it changed or, for
        // those that `CpuPin` names, while the virtual processor is loaded. HOST_RIP is the exit half of the world switch.
        let mut put = |field, value| unsafe { vmcs.put_sensitive(field, value) };
        put(field::HOST_CR3, state.cr3);
        put(field::HOST_FS_BASE, state.fs_base);
        put(field::HOST_GS_BASE, state.gs_base);
        put(field::HOST_GDTR_BASE, state.gdtr.base);
        put(field::HOST_IDTR_BASE, state.idtr.base);
        put(field::HOST_TR_BASE, task_state_base(state.gdtr));
        put(field::HOST_RIP, exit_address());
        // SAFETY: every processor with VMX and 64-bit mode has these MSRs.
        let read = |number| unsafe { host.msr(number) };
        put(field::HOST_IA32_SYSENTER_ESP, read(msr::IA32_SYSENTER_ESP));
        put(field::HOST_IA32_SYSENTER_EIP, read(msr::IA32_SYSENTER_EIP));
        put(field::HOST_IA32_PAT, read(msr::IA32_PAT));
        let [a, b, c, d, ..] = read(msr::IA32_SYSENTER_CS).to_le_bytes();
        let sysenter_cs = u32::from_le_bytes([a, b, c, d]);
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::HOST_CR0, Cr0::from(state.cr0)) };
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::HOST_CR4, Cr4::from(state.cr4)) };
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::HOST_IA32_SYSENTER_CS, sysenter_cs) };
        // SAFETY: as above.
        unsafe { vmcs.put_sensitive(field::HOST_IA32_EFER, Efer::from(read(msr::IA32_EFER))) };
        for (field, selector) in selectors() {
            // SAFETY: as above.
            unsafe { vmcs.put_sensitive(field, selector) };
        }
        state
    }

    /// Writes to the VMCS what the host changed since it was written.
    #[inline]
    pub(crate) fn sync<A: Frames>(&mut self, host: Host<'_>, vmcs: &mut CurrentVmcs<'_, A>) {
        let cr4 = host.cr4();
        sync(vmcs, field::HOST_CR0, &mut self.cr0, host.cr0());
        sync(vmcs, field::HOST_CR3, &mut self.cr3, host.cr3());
        sync(vmcs, field::HOST_CR4, &mut self.cr4, cr4);
        let (fs_base, gs_base) = host.segment_bases(Cr4::from(cr4));
        sync(vmcs, field::HOST_FS_BASE, &mut self.fs_base, fs_base);
        sync(vmcs, field::HOST_GS_BASE, &mut self.gs_base, gs_base);
    }

    /// Makes what a VM exit changed as it was.
    #[inline]
    pub(crate) fn restore(&self, host: Host<'_>) {
        if self.is_kept {
            return;
        }
        if self.gdtr.limit != TABLE_LIMIT_AFTER_EXIT {
            // SAFETY: the table that the host had when the VMCS was loaded, which it keeps (`CpuPin`).
            unsafe { host.set_gdtr(self.gdtr) };
        }
        if self.idtr.limit != TABLE_LIMIT_AFTER_EXIT {
            // SAFETY: as above.
            unsafe { host.set_idtr(self.idtr) };
        }
        if self.debugctl != 0 {
            // SAFETY: every processor with VMX has IA32_DEBUGCTL; the value is the host's own.
            unsafe { host.set_msr(msr::IA32_DEBUGCTL, self.debugctl) };
        }
        if let Some(segments) = &self.segments {
            segments.restore(host, self.fs_base);
        }
    }
}

/// Writes the value that the host has now if it is not the one that was written before.
#[inline(always)]
fn sync<T: FieldValue, A: Frames>(
    vmcs: &mut CurrentVmcs<'_, A>,
    field: Field<T, Sensitive>,
    cached: &mut u64,
    now: u64,
) {
    if *cached != now {
        *cached = now;
        // SAFETY: the only caller passes the fields of the registers that the values are of.
        unsafe { vmcs.put_sensitive(field, T::from_raw(now)) };
    }
}

/// Selectors that a VM exit does not load as the host has them: LDTR becomes null, and the others lose RPL and TI.
///
/// Intel SDM vol. 3, section 30.5.2, "Loading Host Segment and Descriptor-Table Registers".
#[derive(Clone, Copy, Debug)]
struct Segments {
    ldtr: SegmentSelector,
    es: SegmentSelector,
    ds: SegmentSelector,
    fs: SegmentSelector,
    gs: SegmentSelector,
}

impl Segments {
    /// The selectors now, if a VM exit would lose part of one.
    fn to_restore() -> Option<Self> {
        use x86::segmentation::{ds, es, fs, gs};
        // SAFETY: reading LDTR has no effect; privilege level 0, as `Host` proves for the callers.
        let ldtr = unsafe { x86::dtables::ldtr() };
        let segments = Self { ldtr, es: es(), ds: ds(), fs: fs(), gs: gs() };
        let is_lost = |selector: SegmentSelector| selector.bits() & RPL_AND_TI != 0;
        let [es, ds, fs, gs] = [segments.es, segments.ds, segments.fs, segments.gs].map(is_lost);
        (ldtr.bits() != 0 || es || ds || fs || gs).then_some(segments)
    }

    fn restore(&self, host: Host<'_>, fs_base: u64) {
        // SAFETY: the host's own selectors, of descriptors that its tables still have (`CpuPin`).
        unsafe { x86::dtables::load_ldtr(self.ldtr) };
        // SAFETY: as above.
        unsafe { x86::segmentation::load_es(self.es) };
        // SAFETY: as above.
        unsafe { x86::segmentation::load_ds(self.ds) };
        if self.fs.bits() & RPL_AND_TI != 0 {
            // SAFETY: as above; the base, which this changes, comes back below.
            unsafe { x86::segmentation::load_fs(self.fs) };
            // SAFETY: every processor with 64-bit mode has the MSR, and the value is the host's own.
            unsafe { host.set_msr(msr::IA32_FS_BASE, fs_base) };
        }
        if self.gs.bits() & RPL_AND_TI != 0 {
            // SAFETY: every processor with 64-bit mode has the MSR.
            let kernel_gs_base = unsafe { host.msr(msr::IA32_KERNEL_GSBASE) };
            // SAFETY: as for the other selectors; KERNEL_GS_BASE, which this changes, comes back below.
            unsafe { instructions::load_gs_behind_swapgs(self.gs) };
            // SAFETY: every processor with 64-bit mode has the MSR, and the value is the host's own.
            unsafe { host.set_msr(msr::IA32_KERNEL_GSBASE, kernel_gs_base) };
        }
    }
}

/// Requested privilege level and table indicator of a selector.
const RPL_AND_TI: u16 = 7;

/// The address of the exit half of the world switch.
#[expect(clippy::as_conversions, reason = "a function pointer has no other conversion to an address")]
fn exit_address() -> u64 {
    let function: unsafe extern "sysv64" fn() = switch::vm_exit;
    // 64 bits are 64 bits on x86-64.
    u64::try_from((function as *const ()).expose_provenance()).unwrap_or(0)
}

/// The selectors of the host, with RPL and TI as a VM entry requires them.
///
/// Intel SDM vol. 3, section 29.2.3, "Checks on Host Segment and Descriptor-Table Registers".
fn selectors() -> [(Field<u16, Sensitive>, u16); 7] {
    // SAFETY: reading a segment register has no effect.
    let [es, cs, ss, ds, fs, gs] = [
        x86::segmentation::es().bits(),
        x86::segmentation::cs().bits(),
        x86::segmentation::ss().bits(),
        x86::segmentation::ds().bits(),
        x86::segmentation::fs().bits(),
        x86::segmentation::gs().bits(),
    ];
    // SAFETY: privilege level 0, as `Host` proves for the callers.
    let tr = unsafe { x86::task::tr() }.bits();
    [
        (field::HOST_ES_SELECTOR, es & !7),
        (field::HOST_CS_SELECTOR, cs & !7),
        (field::HOST_SS_SELECTOR, ss & !7),
        (field::HOST_DS_SELECTOR, ds & !7),
        (field::HOST_FS_SELECTOR, fs & !7),
        (field::HOST_GS_SELECTOR, gs & !7),
        (field::HOST_TR_SELECTOR, tr & !7),
    ]
}

/// The base of the task-state segment, from its descriptor.
///
/// Intel SDM vol. 3, section 9.2.3, "TSS Descriptor in 64-bit Mode".
fn task_state_base(gdtr: DescriptorTable) -> u64 {
    // SAFETY: privilege level 0, as `Host` proves for the callers.
    let selector = unsafe { x86::task::tr() }.bits();
    let address = gdtr.base.wrapping_add(u64::from(selector & !7));
    let Ok(address) = usize::try_from(address) else { return 0 };
    let descriptor = core::ptr::with_exposed_provenance::<[u32; 4]>(address);
    // SAFETY: TR was loaded from this descriptor of 16 bytes, which the GDT still has (`CpuPin`).
    let [low, middle, high, _] = unsafe { descriptor.read_unaligned() };
    u64::from(low >> 16 | (middle & 0xff) << 16 | middle & 0xff00_0000) | u64::from(high) << 32
}
