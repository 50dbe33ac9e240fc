//! AMD processors before Zen.

use super::Profile;
use crate::capability::RawCpuid;

/// AMD Athlon 64 X2 Dual Core Processor 6400+: Windsor, K8.
///
/// Family 0FH, model 43H, stepping 03H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0040F33_K8_Windsor_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const WINDSOR: Profile = Profile {
    name: "windsor",
    processor: "AMD Athlon 64 X2 Dual Core Processor 6400+, family 0FH, model 43H, stepping 03H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0040F33_K8_Windsor_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x2001,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x1f,
        leaf_8000_0001_edx: 0xebd3_fbff,
        leaf_8000_0008_eax: 0x3028,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x40,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// Quad-Core AMD Opteron Processor 2344 HE: Barcelona, K10.
///
/// Family 10H, model 02H, stepping 0AH. Source: CPUID dump `AuthenticAMD/AuthenticAMD0100F2A_K10_Barcelona_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const BARCELONA: Profile = Profile {
    name: "barcelona",
    processor: "Quad-Core AMD Opteron Processor 2344 HE, family 10H, model 02H, stepping 0AH",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0100F2A_K10_Barcelona_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x0080_2009,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x7ff,
        leaf_8000_0001_edx: 0xefd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x40,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 7,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD Phenom II X4 940 Processor: Deneb, K10.
///
/// Family 10H, model 04H, stepping 02H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0100F42_K10_Deneb_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const DENEB: Profile = Profile {
    name: "deneb",
    processor: "AMD Phenom II X4 940 Processor, family 10H, model 04H, stepping 02H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0100F42_K10_Deneb_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x0080_2009,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x37ff,
        leaf_8000_0001_edx: 0xefd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x40,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0xf,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD Phenom II X6 1055T Processor: Thuban, K10.
///
/// Family 10H, model 0AH, stepping 00H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0100FA0_K10_Thuban_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const THUBAN: Profile = Profile {
    name: "thuban",
    processor: "AMD Phenom II X6 1055T Processor, family 10H, model 0AH, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0100FA0_K10_Thuban_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x0080_2009,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x37ff,
        leaf_8000_0001_edx: 0xefd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x40,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x40f,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD A8-3850 APU with Radeon HD Graphics: Llano, K10.
///
/// Family 12H, model 01H, stepping 00H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0300F10_K12_Llano_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const LLANO: Profile = Profile {
    name: "llano",
    processor: "AMD A8-3850 APU with Radeon HD Graphics, family 12H, model 01H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0300F10_K12_Llano_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x0080_2009,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x37ff,
        leaf_8000_0001_edx: 0xefd3_fbff,
        leaf_8000_0008_eax: 0x3028,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x40,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x40f,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD E-350 Processor: Zacate, with Bobcat cores.
///
/// Family 14H, model 01H, stepping 00H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0500F10_K14_Bobcat_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const BOBCAT: Profile = Profile {
    name: "bobcat",
    processor: "AMD E-350 Processor, family 14H, model 01H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0500F10_K14_Bobcat_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x0080_2209,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x35ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3024,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 8,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x60f,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD FX-8150 Eight-Core Processor: Zambezi, with Bulldozer cores.
///
/// Family 15H, model 01H, stepping 02H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0600F12_K15_Zambezi8C_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const BULLDOZER: Profile = Profile {
    name: "bulldozer",
    processor: "AMD FX-8150 Eight-Core Processor, family 15H, model 01H, stepping 02H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0600F12_K15_Zambezi8C_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x1e98_220b,
        leaf_7_ebx: 0,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x01c9_bfff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x0001_0000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x14ff,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD FX-8350 Eight-Core Processor: Vishera, with Piledriver cores.
///
/// Family 15H, model 02H, stepping 00H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0600F20_K15_Vishera_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const PILEDRIVER: Profile = Profile {
    name: "piledriver",
    processor: "AMD FX-8350 Eight-Core Processor, family 15H, model 02H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0600F20_K15_Vishera_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x3e98_320b,
        leaf_7_ebx: 8,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x01eb_bfff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x0001_0000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x1cff,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD A10-7850K Radeon R7, 12 Compute Cores 4C+8G: Kaveri, with Steamroller cores.
///
/// Family 15H, model 30H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0630F01_K15_Kaveri_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const STEAMROLLER: Profile = Profile {
    name: "steamroller",
    processor: "AMD A10-7850K Radeon R7, 12 Compute Cores 4C+8G, family 15H, model 30H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0630F01_K15_Kaveri_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x3e98_320b,
        leaf_7_ebx: 9,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x0feb_bfff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x0001_0000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x1cff,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD FX-8800P Radeon R7, 12 Compute Cores 4C+8G: Carrizo, with Excavator cores.
///
/// Family 15H, model 60H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0660F01_K15_Carrizo_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const EXCAVATOR: Profile = Profile {
    name: "excavator",
    processor: "AMD FX-8800P Radeon R7, 12 Compute Cores 4C+8G, family 15H, model 60H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0660F01_K15_Carrizo_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0x1a9,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x2feb_bfff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x0001_bcff,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD A4-5000 APU with Radeon HD Graphics: Kabini, with Jaguar cores.
///
/// Family 16H, model 00H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0700F01_K16_Kabini_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const JAGUAR: Profile = Profile {
    name: "jaguar",
    processor: "AMD A4-5000 APU with Radeon HD Graphics, family 16H, model 00H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0700F01_K16_Kabini_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x3ed8_220b,
        leaf_7_ebx: 8,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x1540_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3028,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 8,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x1cdf,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD A6-6310 APU with AMD Radeon R4 Graphics: Beema, with Puma cores.
///
/// Family 16H, model 30H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0730F01_K16_Beema_CPUID2.txt` in
/// InstLatx64/InstLatx64.
pub const PUMA: Profile = Profile {
    name: "puma",
    processor: "AMD A6-6310 APU with AMD Radeon R4 Graphics, family 16H, model 30H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0730F01_K16_Beema_CPUID2.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_220b,
        leaf_7_ebx: 8,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x1d40_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3028,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 8,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x1cdf,
        leaf_8000_001f_eax: 0,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};
