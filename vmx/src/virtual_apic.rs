//! The virtual APIC: its pages, its controls, and the interrupts in it.

use x86_virt_core::{
    ApicError, ApicInterface, ApicVirtualization, Frames, GuestRam, Hpa, MsrAccess, MsrBitmap, OutOfFrames, Permission,
    X2APIC_MSRS,
};

use crate::access::VmcsWrite;
use crate::capability::Capabilities;
use crate::control::{PrimaryControls, SecondaryControls};
use crate::field;
use crate::memory::{ApicOffset, ApicVectors, InFrame, VirtualApicPage};

/// A virtual APIC: a virtual-APIC page in a frame of its own, with the registers, and for a guest that reaches them in memory an
/// APIC-access page.
///
/// [`VmxVcpu::set_virtual_apic`](crate::VmxVcpu::set_virtual_apic) gives it to a virtual processor, which owns it from then on.
///
/// Intel SDM vol. 3, section 32.1, "Virtual APIC State".
///
/// ```
/// # use x86_virt_core::{Frames, OutOfFrames};
/// use x86_virt_vmx::{ApicOffset, VirtualApic};
///
/// # fn example<A: Frames>(frames: &A) -> Result<(), OutOfFrames> {
/// let apic = VirtualApic::new(frames)?;
/// assert_eq!(apic.page().read(ApicOffset::TPR), Some(0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct VirtualApic<'m, A: Frames> {
    page: InFrame<VirtualApicPage, A>,
    access_page: Option<GuestRam<'m>>,
}

impl<'m, A: Frames> VirtualApic<'m, A> {
    /// A virtual APIC whose registers are all 0.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: it takes one frame.
    pub fn new(frames: &A) -> Result<Self, OutOfFrames> {
        Ok(Self { page: InFrame::new(frames)?, access_page: None })
    }

    /// The same with the first 4096 bytes of `memory` as its APIC-access page.
    ///
    /// Map them, in a page of 4 KiB that can be read and written, where the guest has the registers, and nowhere else. All virtual
    /// processors of a space share the page, and never access it while their APIC is in memory: an access is one to the registers. In
    /// other modes it is memory.
    ///
    /// Intel SDM vol. 3, section 32.4, "Virtualizing Memory-Mapped APIC Accesses".
    #[must_use]
    pub fn with_access_page(self, memory: &GuestRam<'m>) -> Self {
        Self { access_page: Some(*memory), ..self }
    }

    /// The registers. A change by this reference counts from the next entry on, but for what is requested and in service, which the
    /// processor keeps beside the page too: [`GuestApic`](x86_virt_core::GuestApic) changes both.
    #[must_use]
    pub fn page(&self) -> &VirtualApicPage {
        &self.page
    }

    pub(crate) const fn page_address(&self) -> Hpa {
        self.page.hpa()
    }

    pub(crate) fn access_address(&self) -> Option<Hpa> {
        self.access_page.map(|page| page.hpa())
    }
}

/// A virtual APIC that a virtual processor uses.
#[derive(Debug)]
pub(crate) struct Attached<'m, A: Frames> {
    pub(crate) apic: VirtualApic<'m, A>,
    pub(crate) virtualization: ApicVirtualization,
    /// The run ends when the task priority, as in CR8, falls below: what the caller has asked for, and the class of an interrupt that
    /// waits.
    pub(crate) asked: u8,
    pub(crate) waits: Option<u8>,
    /// The TPR threshold in the VMCS.
    pub(crate) written: u8,
}

impl<A: Frames> Attached<'_, A> {
    /// CR8.
    pub(crate) fn task_priority(&self) -> u8 {
        task_priority(&self.apic.page)
    }

    /// The TPR threshold for the next entry. One that is above the task priority would make the entry fail, or end the run at once.
    ///
    /// Intel SDM vol. 3, section 29.2.1.1, "VM-Execution Control Fields".
    pub(crate) fn threshold(&self) -> u8 {
        self.asked.max(self.waits.unwrap_or(0)).min(self.task_priority())
    }
}

/// Bits 7:4 of the TPR.
fn task_priority(page: &VirtualApicPage) -> u8 {
    let [tpr, ..] = page.read(ApicOffset::TPR).unwrap_or(0).to_le_bytes();
    tpr >> 4
}

/// The controls of both words that virtualize an APIC, as far as they are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ApicControls {
    pub(crate) primary: PrimaryControls,
    pub(crate) secondary: SecondaryControls,
}

/// The controls that make CR8 end a run, without which the TPR shadow must be used: otherwise CR8 would be the host's.
pub(crate) const CR8_EXITING: PrimaryControls =
    PrimaryControls::CR8_LOAD_EXITING.union(PrimaryControls::CR8_STORE_EXITING);

impl ApicControls {
    /// All that are known here.
    pub(crate) fn all() -> Self {
        let secondary = ROWS.iter().fold(SecondaryControls::NONE, |set, row| set | row.control);
        Self { primary: PrimaryControls::USE_TPR_SHADOW, secondary }
    }

    /// Those for `wanted`, if a processor can do it.
    pub(crate) fn new(wanted: ApicVirtualization, capabilities: &Capabilities) -> Result<Self, ApicError> {
        let (primary, secondary) = (capabilities.primary(), capabilities.secondary());
        if !primary.may_be_one().contains(PrimaryControls::USE_TPR_SHADOW) {
            return Err(ApicError::Missing { needs: "the control USE_TPR_SHADOW" });
        }
        let mut controls = Self { primary: PrimaryControls::USE_TPR_SHADOW, secondary: SecondaryControls::NONE };
        for row in ROWS.iter().filter(|row| (row.is_wanted)(wanted)) {
            if !secondary.may_be_one().contains(row.control) {
                return Err(ApicError::Missing { needs: row.name });
            }
            controls.secondary = controls.secondary | row.control;
        }
        Ok(controls)
    }
}

impl Capabilities {
    /// Whether a processor with these capabilities can virtualize a local APIC so.
    ///
    /// # Errors
    ///
    /// [`ApicError::Missing`] with the first control that it lacks.
    ///
    /// Intel SDM vol. 3, section 27.6.8, "Controls for APIC Virtualization".
    pub fn check_apic_virtualization(&self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        ApicControls::new(wanted, self).map(drop)
    }
}

/// A control of the secondary word, with what asks for it.
struct Row {
    is_wanted: fn(ApicVirtualization) -> bool,
    control: SecondaryControls,
    name: &'static str,
}

const ROWS: [Row; 4] = [
    Row {
        is_wanted: |wanted| wanted.interface == ApicInterface::Memory,
        control: SecondaryControls::VIRTUALIZE_APIC_ACCESSES,
        name: "the control VIRTUALIZE_APIC_ACCESSES",
    },
    Row {
        is_wanted: |wanted| wanted.interface == ApicInterface::Msrs,
        control: SecondaryControls::VIRTUALIZE_X2APIC_MODE,
        name: "the control VIRTUALIZE_X2APIC_MODE",
    },
    Row {
        is_wanted: |wanted| wanted.virtualizes_registers,
        control: SecondaryControls::APIC_REGISTER_VIRTUALIZATION,
        name: "the control APIC_REGISTER_VIRTUALIZATION",
    },
    Row {
        is_wanted: |wanted| wanted.delivers_interrupts,
        control: SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY,
        name: "the control VIRTUAL_INTERRUPT_DELIVERY",
    },
];

/// The MSR of the register at `offset`.
pub(crate) const fn msr(offset: ApicOffset) -> u32 {
    let [low, high] = (offset.into_bits() >> 4).to_le_bytes();
    0x800 | u32::from_le_bytes([low, high, 0, 0])
}

/// The MSR of SELF IPI, which has no register in memory.
const SELF_IPI: u32 = 0x83f;

/// The current count, which the page does not keep: only the hypervisor knows the time of the guest's timer. The others cannot be read
/// by an MSR, or there is none.
const NOT_READ: [ApicOffset; 6] =
    [ApicOffset::CCT, ApicOffset::EOI, ApicOffset::APR, ApicOffset::RRD, ApicOffset::DFR, ApicOffset::ICR_HIGH];

/// Passes the accesses to MSRs that the processor virtualizes, and intercepts all others of an x2APIC, which would be those of the host.
///
/// Intel SDM vol. 3, section 32.5, "Virtualizing MSR-Based APIC Accesses".
pub(crate) fn set_msrs(bitmap: &mut impl MsrBitmap, virtualization: Option<ApicVirtualization>) {
    let mut set = |msr, access, permission| {
        // The bitmaps cover all of them.
        let _covered = bitmap.set(msr, access, permission);
    };
    for msr in X2APIC_MSRS {
        set(msr, MsrAccess::ReadWrite, Permission::Intercept);
    }
    let Some(virtualization) = virtualization.filter(|wanted| wanted.interface == ApicInterface::Msrs) else { return };
    set(msr(ApicOffset::TPR), MsrAccess::ReadWrite, Permission::PassThrough);
    if virtualization.delivers_interrupts {
        set(msr(ApicOffset::EOI), MsrAccess::Write, Permission::PassThrough);
        set(SELF_IPI, MsrAccess::Write, Permission::PassThrough);
    }
    if virtualization.virtualizes_registers {
        let offsets = ApicOffset::ALL.iter().map(|code| ApicOffset::from_bits(code.value));
        for offset in offsets.filter(|offset| !NOT_READ.contains(offset)) {
            set(msr(offset), MsrAccess::Read, Permission::PassThrough);
        }
    }
}

/// Requests the interrupt with `vector`.
///
/// Intel SDM vol. 3, section 32.1.5, "Self-IPI Virtualization".
pub(crate) fn raise(page: &VirtualApicPage, vmcs: &mut impl VmcsWrite, vector: u8) {
    page.insert(ApicVectors::Requested, vector);
    let status = vmcs.get(field::GUEST_INTERRUPT_STATUS);
    if vector > status.rvi() {
        vmcs.put(field::GUEST_INTERRUPT_STATUS, status.with_rvi(vector));
    }
}

/// Makes what the processor keeps beside the page agree with it.
///
/// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State".
pub(crate) fn synchronize(page: &VirtualApicPage, vmcs: &mut impl VmcsWrite) {
    let highest = |register| page.vectors(register).highest().unwrap_or(0);
    let status = vmcs.get(field::GUEST_INTERRUPT_STATUS);
    let status = status.with_rvi(highest(ApicVectors::Requested)).with_svi(highest(ApicVectors::InService));
    vmcs.put(field::GUEST_INTERRUPT_STATUS, status);
}

/// The interrupt that the priorities let through.
///
/// Intel SDM vol. 3, section 32.2.1, "Evaluation of Pending Virtual Interrupts", and section 32.1.3, "PPR Virtualization".
pub(crate) fn deliverable(page: &VirtualApicPage, vmcs: &impl crate::access::VmcsRead) -> Option<u8> {
    let status = vmcs.get(field::GUEST_INTERRUPT_STATUS);
    let priority = task_priority(page).max(status.svi() >> 4);
    (status.rvi() >> 4 > priority).then_some(status.rvi())
}

#[cfg(test)]
mod tests {
    use x86_virt_core::testing::FakeFrames;
    use x86_virt_core::{ApicError, ApicInterface, ApicVirtualization, MsrAccess, MsrBitmap as _};

    use super::{ApicControls, Attached, VirtualApic, deliverable, raise, set_msrs, synchronize};
    use crate::access::{VmcsRead as _, VmcsWrite as _};
    use crate::bitmap::MsrBitmaps;
    use crate::capability::{Capabilities, RawCapabilities};
    use crate::control::{PrimaryControls, SecondaryControls};
    use crate::field;
    use crate::guest_state::GuestInterruptStatus;
    use crate::memory::{ApicOffset, ApicVectors, VirtualApicPage};
    use crate::setup::tests::HASWELL;
    use crate::testing::FakeVmcs;

    const ALL: ApicVirtualization = ApicVirtualization::new(ApicInterface::Msrs).with_registers().with_interrupts();

    #[test]
    fn controls_are_those_that_were_asked_for() {
        let of =
            |wanted, raw| ApicControls::new(wanted, &Capabilities::from_raw(raw)).map(|all| all.secondary.into_bits());
        for (wanted, secondary) in [
            (ApicVirtualization::new(ApicInterface::Cr8), 0),
            (ApicVirtualization::new(ApicInterface::Memory), 1),
            (ApicVirtualization::new(ApicInterface::Msrs), 1 << 4),
            (ALL.with_interface(ApicInterface::Memory), 1 | 1 << 8 | 1 << 9),
            (ALL, 1 << 4 | 1 << 8 | 1 << 9),
        ] {
            assert_eq!(of(wanted, HASWELL), Ok(secondary), "{wanted:?}");
        }
        let all = ApicControls::all();
        assert_eq!((all.primary, all.secondary.into_bits()), (PrimaryControls::USE_TPR_SHADOW, 0x311));
        // Each control that is missing has its name.
        for (bit, wanted, needs) in [
            (0, ALL.with_interface(ApicInterface::Memory), "the control VIRTUALIZE_APIC_ACCESSES"),
            (4, ALL, "the control VIRTUALIZE_X2APIC_MODE"),
            (8, ALL, "the control APIC_REGISTER_VIRTUALIZATION"),
            (9, ALL, "the control VIRTUAL_INTERRUPT_DELIVERY"),
        ] {
            let raw = RawCapabilities { secondary: HASWELL.secondary & !(1 << (32 + bit)), ..HASWELL };
            assert_eq!(of(wanted, raw), Err(ApicError::Missing { needs }));
        }
        let raw = RawCapabilities { true_primary: HASWELL.true_primary & !(1 << (32 + 21)), ..HASWELL };
        assert_eq!(of(ALL, raw), Err(ApicError::Missing { needs: "the control USE_TPR_SHADOW" }));
        assert!(SecondaryControls::from_bits(0x311).contains(SecondaryControls::VIRTUALIZE_X2APIC_MODE));
    }

    /// The MSRs from 700H to 8FFH that end no run.
    fn passed(bitmap: &MsrBitmaps<FakeFrames>, access: MsrAccess) -> Vec<u32> {
        (0x700..0x900).filter(|msr| !bitmap.is_intercepted(*msr, access)).collect()
    }

    #[test]
    fn no_msr_of_the_host_is_passed() {
        let frames = FakeFrames::limited(1);
        let mut bitmap = MsrBitmaps::new(&frames).unwrap();
        set_msrs(&mut bitmap, Some(ApicVirtualization::new(ApicInterface::Msrs)));
        assert_eq!(passed(&bitmap, MsrAccess::Read), [0x808]);
        assert_eq!(passed(&bitmap, MsrAccess::Write), [0x808]);
        set_msrs(&mut bitmap, Some(ALL));
        assert_eq!(passed(&bitmap, MsrAccess::Write), [0x808, 0x80b, 0x83f]);
        let mut reads = vec![0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f];
        reads.extend(0x810..=0x828);
        reads.extend([0x82f, 0x830]);
        reads.extend(0x832..=0x838);
        reads.push(0x83e);
        assert_eq!(passed(&bitmap, MsrAccess::Read), reads);
        for other in
            [None, Some(ALL.with_interface(ApicInterface::Memory)), Some(ALL.with_interface(ApicInterface::Cr8))]
        {
            set_msrs(&mut bitmap, Some(ALL));
            set_msrs(&mut bitmap, other);
            assert_eq!(passed(&bitmap, MsrAccess::Read), [0_u32; 0]);
            assert_eq!(passed(&bitmap, MsrAccess::Write), [0_u32; 0]);
        }
    }

    #[test]
    fn requests_are_evaluated_by_priority() {
        let (page, mut vmcs) = (VirtualApicPage::new(), FakeVmcs::new());
        assert_eq!(deliverable(&page, &vmcs), None);
        raise(&page, &mut vmcs, 0x41);
        raise(&page, &mut vmcs, 0x31);
        assert_eq!(vmcs.get(field::GUEST_INTERRUPT_STATUS), GuestInterruptStatus::new().with_rvi(0x41));
        let requested = page.vectors(ApicVectors::Requested);
        assert_eq!(requested.iter().collect::<Vec<_>>(), [0x41, 0x31]);
        assert_eq!(deliverable(&page, &vmcs), Some(0x41));
        // Its class must be above that of the task, and of what is in service.
        for (tpr, svi, expected) in
            [(0x3f, 0, Some(0x41)), (0x40, 0, None), (0, 0x3f, Some(0x41)), (0, 0x40, None), (0x10, 0x30, Some(0x41))]
        {
            page.write(ApicOffset::TPR, tpr);
            let status = vmcs.get(field::GUEST_INTERRUPT_STATUS).with_svi(svi);
            vmcs.put(field::GUEST_INTERRUPT_STATUS, status);
            assert_eq!(deliverable(&page, &vmcs), expected, "TPR {tpr:#x}, SVI {svi:#x}");
        }
    }

    #[test]
    fn the_status_follows_the_page() {
        let (page, mut vmcs) = (VirtualApicPage::new(), FakeVmcs::new());
        for (register, vectors) in [(ApicVectors::Requested, [0x21, 0xfe]), (ApicVectors::InService, [0x30, 0x52])] {
            vectors.into_iter().for_each(|vector| page.insert(register, vector));
        }
        synchronize(&page, &mut vmcs);
        let status = vmcs.get(field::GUEST_INTERRUPT_STATUS);
        assert_eq!((status.rvi(), status.svi()), (0xfe, 0x52));
        synchronize(&VirtualApicPage::new(), &mut vmcs);
        assert_eq!(vmcs.get(field::GUEST_INTERRUPT_STATUS).into_bits(), 0);
    }

    #[test]
    fn a_threshold_is_never_above_the_task_priority() {
        let apic = VirtualApic::new(&FakeFrames::limited(1)).unwrap();
        let virtualization = ApicVirtualization::new(ApicInterface::Cr8);
        let mut attached = Attached { apic, virtualization, asked: 0, waits: None, written: 0 };
        for (tpr, asked, waits, expected) in [
            (0x50, 0, None, 0),
            (0x50, 3, None, 3),
            (0x50, 3, Some(5), 5),
            (0x50, 7, Some(4), 5),
            (0x0f, 7, Some(4), 0),
            (0xff, 15, None, 15),
        ] {
            attached.apic.page().write(ApicOffset::TPR, tpr);
            (attached.asked, attached.waits) = (asked, waits);
            assert_eq!(attached.threshold(), expected, "TPR {tpr:#x}, {asked}, {waits:?}");
        }
    }
}
