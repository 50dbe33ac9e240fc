//! The guest's registers.

use x86_virt_core::{Cr4, Efer, Gva};

use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};
use crate::register::has_illegal_caching;
use crate::vmcb::save;

type Outcome = Result<Verdict, Missing>;

const LOW: u64 = 0xffff_ffff;
const CET: u64 = Cr4::new().with_cet(true).into_bits();
const PKE: u64 = Cr4::new().with_pke(true).into_bits();

pub(crate) fn svme(view: &View<'_>) -> Outcome {
    let efer = view.get(save::EFER)?;
    Ok(Verdict::must_be(efer.into_bits(), efer.with_svme(true).into_bits()))
}

pub(crate) fn nw_needs_cd(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(has_illegal_caching(view.get(save::CR0)?)))
}

pub(crate) fn cr0_high(view: &View<'_>) -> Outcome {
    let cr0 = view.get(save::CR0)?.into_bits();
    Ok(Verdict::must_be(cr0, cr0 & LOW))
}

pub(crate) fn dr6_high(view: &View<'_>) -> Outcome {
    let dr6 = view.get(save::DR6)?;
    Ok(Verdict::must_be(dr6, dr6 & LOW))
}

pub(crate) fn dr7_high(view: &View<'_>) -> Outcome {
    let dr7 = view.get(save::DR7)?;
    Ok(Verdict::must_be(dr7, dr7 & LOW))
}

/// In long mode: bits 63:52, and those that no physical address has. In other modes CR3 has 32 bits, and the others do not
/// matter.
pub(crate) fn cr3(view: &View<'_>) -> Outcome {
    if !view.is_long()? {
        return Ok(Verdict::Kept);
    }
    let cr3 = view.get(save::CR3)?;
    Ok(Verdict::broken_if(cr3 >> 52 != 0 || view.beyond(cr3)? != 0))
}

pub(crate) fn cr4_reserved(view: &View<'_>) -> Outcome {
    let cr4 = view.get(save::CR4)?.into_bits();
    if cr4 & !0x7ff == 0 {
        return Ok(Verdict::Kept);
    }
    let processor = view.processor()?;
    let has = |bit: u32| processor.cpuid().leaf_7_ecx >> bit & 1 != 0;
    let supported = processor.guest_cr4() | if has(3) { PKE } else { 0 } | if has(CET_SS) { CET } else { 0 };
    Ok(Verdict::must_be(cr4, cr4 & supported))
}

/// CPUID Fn0000_0007 subleaf 0 ECX: shadow stacks.
const CET_SS: u32 = 7;

/// Whether the processor has shadow stacks, and so S_CET, SSP and ISST_ADDR.
pub(crate) fn has_cet(view: &View<'_>) -> Result<bool, Missing> {
    Ok(view.processor()?.cpuid().leaf_7_ecx >> CET_SS & 1 != 0)
}

pub(crate) fn efer_reserved(view: &View<'_>) -> Outcome {
    let efer = view.get(save::EFER)?.into_bits();
    /// SCE and SVME; LME and LMA have a rule of their own.
    const ALWAYS: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 12;
    if efer & !ALWAYS == 0 {
        return Ok(Verdict::Kept);
    }
    let supported = view.processor()?.guest_efer() | ALWAYS;
    // Bits that leaves tell which are not among the capabilities: the leaf, its bit, and whether 1 means that there is the bit.
    let ebx = (view.context.leaf_8000_0008_ebx, Missing("CPUID Fn8000_0008 EBX"));
    let eax = (view.context.leaf_8000_0021_eax, Missing("CPUID Fn8000_0021 EAX"));
    let optional = [
        (Efer::new().with_lmsle(true), ebx, 20, false),
        (Efer::new().with_mcommit(true), ebx, 8, true),
        (Efer::new().with_intwb(true), ebx, 13, true),
        (Efer::new().with_uaie(true), eax, 7, true),
        (Efer::new().with_aibrse(true), eax, 8, true),
    ];
    let mut missing = None;
    let mut reserved = efer & !supported;
    for (flag, (leaf, name), bit, means) in optional {
        let flag = flag.into_bits();
        match leaf {
            Some(leaf) if (leaf >> bit & 1 != 0) == means => reserved &= !flag,
            None if reserved & flag != 0 => {
                missing = Some(name);
                reserved &= !flag;
            }
            _ => {}
        }
    }
    match missing {
        Some(missing) if reserved == 0 => Err(missing),
        Some(_) => Ok(Verdict::Broken),
        None => Ok(Verdict::must_be(efer, efer & !reserved)),
    }
}

pub(crate) fn long_mode_exists(view: &View<'_>) -> Outcome {
    let efer = view.get(save::EFER)?;
    if !efer.lme() && !efer.lma() {
        return Ok(Verdict::Kept);
    }
    let has_long_mode = view.processor()?.cpuid().leaf_8000_0001_edx >> 29 & 1 != 0;
    let without = efer.with_lme(false).with_lma(false).into_bits();
    Ok(if has_long_mode { Verdict::Kept } else { Verdict::Becomes(without) })
}

pub(crate) fn long_mode_needs_pae(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(view.is_long()? && !view.get(save::CR4)?.pae()))
}

pub(crate) fn long_mode_needs_pe(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(view.is_long()? && !view.get(save::CR0)?.pe()))
}

pub(crate) fn l_excludes_d(view: &View<'_>) -> Outcome {
    if !view.is_long()? || !view.get(save::CR4)?.pae() {
        return Ok(Verdict::Kept);
    }
    let attributes = view.get(save::CS)?.attributes;
    Ok(Verdict::broken_if(attributes.l() && attributes.db()))
}

pub(crate) fn cet_needs_wp(view: &View<'_>) -> Outcome {
    if !view.get(save::CR4)?.cet() || view.get(save::CR0)?.wp() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(has_cet(view)?))
}

/// The bits of S_CET and U_CET that AMD's processors have: SH_STK_EN and WR_SHSTK_EN.
const CET_DEFINED: u64 = 3;

pub(crate) fn s_cet(view: &View<'_>) -> Outcome {
    let s_cet = view.get(save::S_CET)?;
    if s_cet & !CET_DEFINED == 0 || !has_cet(view)? {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::Becomes(s_cet & CET_DEFINED))
}

/// U_CET of a guest with SEV-ES is in its VMSA. Other guests share that of the host.
fn u_cet_value(view: &View<'_>) -> Result<u64, Missing> {
    if view.is_encrypted() {
        return view.vmsa(crate::vmsa::U_CET);
    }
    view.context.u_cet.ok_or(Missing("U_CET"))
}

pub(crate) fn u_cet(view: &View<'_>) -> Outcome {
    if !view.is_encrypted() || !has_cet(view)? {
        return Ok(Verdict::Kept);
    }
    let u_cet = u_cet_value(view)?;
    Ok(Verdict::must_be(u_cet, u_cet & CET_DEFINED))
}

pub(crate) fn cet_excludes_virtual_8086(view: &View<'_>) -> Outcome {
    if !view.get(save::CR4)?.cet() || !view.get(save::RFLAGS)?.vm() || !has_cet(view)? {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(u_cet_value(view)? & 1 != 0))
}

pub(crate) fn paged_real_mode(view: &View<'_>) -> Outcome {
    let cr0 = view.get(save::CR0)?;
    Ok(Verdict::broken_if(cr0.pg() && !cr0.pe() && !view.is_long()?))
}

pub(crate) fn rip_is_not_canonical(view: &View<'_>) -> Outcome {
    if !view.is_long()? || !view.get(save::CS)?.attributes.l() {
        return Ok(Verdict::Kept);
    }
    let rip = Gva::new(view.get(save::RIP)?);
    Ok(Verdict::broken_if(!rip.is_canonical(view.mode()?.canonical_width())))
}
