//! Addresses that are made canonical in silence.

use crate::check::registers::has_cet;
use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};
use crate::vmcb::{Field, VmcbSegment, save};
use crate::vmsa::{self, Vmsa};

type Outcome = Result<Verdict, Missing>;

/// `address` with the bits from the width of a linear address on equal to the one below.
fn sign_extended(view: &View<'_>, address: u64) -> Outcome {
    let width = if view.get(save::CR4)?.la57() { 57 } else { 48 };
    let sign = 1_u64 << (width - 1);
    let low = address & (sign | (sign - 1));
    let extended = (low ^ sign).wrapping_sub(sign);
    Ok(Verdict::must_be(address, extended))
}

fn base<X>(view: &View<'_>, field: Field<VmcbSegment, X>) -> Outcome {
    sign_extended(view, view.get(field)?.base)
}

fn msr<X>(view: &View<'_>, field: Field<u64, X>) -> Outcome {
    sign_extended(view, view.get(field)?)
}

/// Shadow-stack pointers exist with shadow stacks only.
fn shadow_stack<X>(view: &View<'_>, field: Field<u64, X>) -> Outcome {
    let address = view.get(field)?;
    if address == 0 || !has_cet(view)? { Ok(Verdict::Kept) } else { sign_extended(view, address) }
}

/// Of the VMSA alone.
fn of_level<X>(view: &View<'_>, field: Field<u64, X, Vmsa>) -> Outcome {
    if !view.is_encrypted() || !has_cet(view)? {
        return Ok(Verdict::Kept);
    }
    sign_extended(view, view.vmsa(field)?)
}

/// Defines the tests, one for each register.
macro_rules! tests {
    ($($name:ident = $kind:ident($module:ident::$field:ident);)*) => {
        $(pub(crate) fn $name(view: &View<'_>) -> Outcome {
            $kind(view, $module::$field)
        })*
    };
}

tests! {
    tr = base(save::TR);
    ldtr = base(save::LDTR);
    gdtr = base(save::GDTR);
    idtr = base(save::IDTR);
    cs = base(save::CS);
    ss = base(save::SS);
    ds = base(save::DS);
    es = base(save::ES);
    fs = base(save::FS);
    gs = base(save::GS);
    kernel_gs_base = msr(save::KERNEL_GS_BASE);
    sysenter_esp = msr(save::SYSENTER_ESP);
    sysenter_eip = msr(save::SYSENTER_EIP);
    lstar = msr(save::LSTAR);
    cstar = msr(save::CSTAR);
    ssp = shadow_stack(save::SSP);
    isst_addr = shadow_stack(save::ISST_ADDR);
    pl0_ssp = of_level(vmsa::PL0_SSP);
    pl1_ssp = of_level(vmsa::PL1_SSP);
    pl2_ssp = of_level(vmsa::PL2_SSP);
    pl3_ssp = of_level(vmsa::PL3_SSP);
}
