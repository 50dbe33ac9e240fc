//! What CPUID tells the guest: a table to change.
//!
//! Intel SDM vol. 2, "CPUID—CPU Identification"; AMD APM vol. 3, appendix E, "Obtaining Processor Information Via the CPUID
//! Instruction".

use crate::local_apic::Interface;

/// EAX, EBX, ECX and EDX.
pub type Registers = [u32; 4];

/// What one register of a leaf is made of: bits of the processor's own, and bits that are set whatever it has.
#[derive(Clone, Copy, Debug)]
struct Rule {
    of_processor: u32,
    set: u32,
}

/// Nothing.
const NONE: Rule = Rule { of_processor: 0, set: 0 };
/// All that the processor says.
const ALL: Rule = Rule { of_processor: u32::MAX, set: 0 };

/// These bits of what the processor says.
const fn bits<const N: usize>(numbers: [u32; N]) -> Rule {
    Rule { of_processor: mask(numbers), set: 0 }
}

/// This and nothing else.
const fn value(set: u32) -> Rule {
    Rule { of_processor: 0, set }
}

impl Rule {
    /// With these bits set besides.
    const fn and<const N: usize>(self, numbers: [u32; N]) -> Self {
        Self { set: self.set | mask(numbers), ..self }
    }
}

const fn mask<const N: usize>(numbers: [u32; N]) -> u32 {
    let mut mask = 0;
    let mut rest: &[u32] = &numbers;
    while let [number, others @ ..] = rest {
        mask |= 1 << *number;
        rest = others;
    }
    mask
}

/// Leaves that are not here are 0. A sub-leaf other than 0 is 0, too.
const TABLE: &[(u32, [Rule; 4])] = &[
    // The highest leaf, and the vendor.
    (0x0000_0000, [value(7), ALL, ALL, ALL]),
    // Family, model and features. Without x87 and SSE state beyond FXSAVE's: no XSAVE, no AVX.
    (
        0x0000_0001,
        [
            ALL,
            // CLFLUSH's line. The APIC's identifier and one logical processor are added below.
            Rule { of_processor: 0x0000_ff00, set: 0x0001_0000 },
            // SSE3, PCLMULQDQ, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, RDRAND; TSC deadline, hypervisor.
            bits([0, 1, 9, 13, 19, 20, 22, 23, 25, 30]).and([24, 31]),
            // FPU, DE, PSE, TSC, MSR, PAE, CX8, SEP, PGE, CMOV, PAT, PSE-36, CLFSH, MMX, FXSR, SSE, SSE2; APIC.
            bits([0, 2, 3, 4, 5, 6, 8, 11, 13, 15, 16, 17, 19, 23, 24, 25, 26]).and([9]),
        ],
    ),
    // The APIC's timer runs always.
    (0x0000_0006, [value(1 << 2), NONE, NONE, NONE]),
    // FSGSBASE, SMEP, ERMS, RDSEED, ADX, SMAP, CLFLUSHOPT.
    (0x0000_0007, [NONE, bits([0, 7, 9, 18, 19, 20, 23]), NONE, NONE]),
    // The hypervisor: see `HYPERVISOR` for what else is said.
    (0x4000_0000, [value(0x4000_0001), NONE, NONE, NONE]),
    // Of KVM's interface: writes to port 80H, which wait, are not needed.
    (0x4000_0001, [value(1 << 1), NONE, NONE, NONE]),
    (0x8000_0000, [value(0x8000_0008), ALL, ALL, ALL]),
    // LAHF, LZCNT, PREFETCHW; SYSCALL, NX, 1 GiB pages, LM.
    (0x8000_0001, [ALL, NONE, bits([0, 5, 8]), bits([11, 20, 26, 29])]),
    // The name.
    (0x8000_0002, [ALL, ALL, ALL, ALL]),
    (0x8000_0003, [ALL, ALL, ALL, ALL]),
    (0x8000_0004, [ALL, ALL, ALL, ALL]),
    // The time-stamp counter has one speed.
    (0x8000_0007, [NONE, NONE, NONE, value(1 << 8)]),
    // Widths of addresses.
    (0x8000_0008, [Rule { of_processor: 0x0000_ffff, set: 0 }, NONE, NONE, NONE]),
];

/// The name of the interface in EBX, ECX and EDX of leaf 40000000H, by what the local APIC can be.
///
/// Linux makes an APIC an x2APIC without remapping of interrupts only on hypervisors that it knows; of KVM it expects nothing more
/// than leaf 40000001H says.
const fn hypervisor(interface: Interface) -> &'static [u8; 12] {
    match interface {
        Interface::Memory => b"x86-virt\0\0\0\0",
        Interface::MemoryOrMsrs => b"KVMKVMKVM\0\0\0",
    }
}

const X2APIC: u32 = 1 << 21;
const OSXSAVE: u32 = 1 << 27;

/// What a virtual processor is told.
#[derive(Clone, Copy, Debug)]
pub struct Cpuid {
    /// What the processor itself says of a leaf and sub-leaf.
    pub processor: fn(u32, u32) -> Registers,
    /// The identifier of its local APIC.
    pub apic_id: u8,
    /// What the local APIC can be.
    pub interface: Interface,
}

impl Cpuid {
    /// Answers a leaf and sub-leaf. `cr4` is that of the guest.
    #[must_use]
    pub fn answer(&self, leaf: u32, subleaf: u32, cr4: x86_virt::Cr4) -> Registers {
        let Some((_, rules)) = TABLE.iter().find(|(of, _)| *of == leaf && (subleaf == 0 || leaf != 7)) else {
            return [0; 4];
        };
        // The processor may have no such leaf, and then tells of another.
        let [highest, ..] = (self.processor)(leaf & 0x8000_0000, 0);
        let own = if leaf & 0x4000_0000 == 0 && leaf <= highest { (self.processor)(leaf, subleaf) } else { [0; 4] };
        let mut answer = [0; 4];
        for ((target, rule), own) in answer.iter_mut().zip(rules).zip(own) {
            *target = own & rule.of_processor | rule.set;
        }
        let [_, ebx, ecx, edx] = &mut answer;
        match leaf {
            1 => {
                *ebx |= u32::from(self.apic_id) << 24;
                *ecx |= if self.interface == Interface::MemoryOrMsrs { X2APIC } else { 0 };
                *ecx |= if cr4.osxsave() { OSXSAVE } else { 0 };
            }
            0x4000_0000 => {
                let (words, _) = hypervisor(self.interface).as_chunks();
                for (target, word) in [ebx, ecx, edx].into_iter().zip(words) {
                    *target = u32::from_le_bytes(*word);
                }
            }
            _ => {}
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use x86_virt::Cr4;

    use super::{Cpuid, Registers};
    use crate::local_apic::Interface;

    /// A processor that has everything up to leaf 16H.
    fn processor(leaf: u32, _subleaf: u32) -> Registers {
        match leaf {
            0 => [0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
            0x8000_0000 => [0x8000_0008, 0, 0, 0],
            _ => [u32::MAX; 4],
        }
    }

    const CPUID: Cpuid = Cpuid { processor, apic_id: 3, interface: Interface::MemoryOrMsrs };

    fn answer(leaf: u32) -> Registers {
        CPUID.answer(leaf, 0, Cr4::new())
    }

    #[test]
    fn the_vendor_is_the_processors_and_the_rest_is_the_tables() {
        assert_eq!(answer(0), [7, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]);
        let [_, ebx, ecx, edx] = answer(1);
        assert_eq!((ebx >> 24, ebx & 0xff), (3, 0));
        assert_eq!(ecx & (1 << 31 | 1 << 24 | 1 << 21), 1 << 31 | 1 << 24 | 1 << 21);
        // No VMX, MONITOR, XSAVE, AVX, PCID; no MCE, MTRR, HTT.
        assert_eq!(ecx & (1 << 5 | 1 << 3 | 1 << 26 | 1 << 28 | 1 << 17), 0);
        assert_eq!(edx & (1 << 7 | 1 << 12 | 1 << 28), 0);
        assert_eq!(answer(0x8000_0001)[2] & 1 << 2, 0, "no SVM");
    }

    #[test]
    fn what_is_not_in_the_table_is_0() {
        for leaf in [2, 4, 0xb, 0xd, 0x15, 0x4000_0002, 0x8000_0009, 0x8000_001e, u32::MAX] {
            assert_eq!(answer(leaf), [0; 4], "{leaf:#x}");
        }
        assert_eq!(CPUID.answer(7, 1, Cr4::new()), [0; 4]);
    }

    #[test]
    fn a_processor_without_a_leaf_is_not_asked() {
        fn old(leaf: u32, _subleaf: u32) -> Registers {
            if leaf == 0 { [4, 0, 0, 0] } else { [0xdead; 4] }
        }
        let cpuid = Cpuid { processor: old, ..CPUID };
        assert_eq!(cpuid.answer(7, 0, Cr4::new()), [0; 4]);
    }

    #[test]
    fn the_hypervisor_says_who_it_is() {
        assert_eq!(answer(0x4000_0000), [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d]);
        let memory = Cpuid { interface: Interface::Memory, ..CPUID };
        assert_eq!(memory.answer(0x4000_0000, 0, Cr4::new())[1], u32::from_le_bytes(*b"x86-"));
        assert_eq!(memory.answer(1, 0, Cr4::new())[2] & 1 << 21, 0);
    }

    #[test]
    fn osxsave_is_the_guests() {
        let [_, _, ecx, _] = CPUID.answer(1, 0, Cr4::new().with_osxsave(true));
        assert_ne!(ecx & 1 << 27, 0);
        assert_eq!(answer(1)[2] & 1 << 27, 0);
    }
}
