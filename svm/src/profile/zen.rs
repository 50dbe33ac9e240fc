//! AMD processors with Zen cores, and one of Hygon.

use super::Profile;
use crate::capability::RawCpuid;

/// AMD Ryzen 7 1800X Eight-Core Processor: Summit Ridge, Zen.
///
/// Family 17H, model 01H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0800F11_K17_Zen_CPUID4.txt` in
/// InstLatx64/InstLatx64.
pub const SUMMIT_RIDGE: Profile = Profile {
    name: "summit-ridge",
    processor: "AMD Ryzen 7 1800X Eight-Core Processor, family 17H, model 01H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0800F11_K17_Zen_CPUID4.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0x209c_01a9,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x35c2_33ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x0001_bcff,
        leaf_8000_001f_eax: 7,
        leaf_8000_001f_ebx: 0x16f,
        leaf_8000_001f_ecx: 0xf,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD EPYC 7551P 32-Core Processor: Naples, Zen.
///
/// Family 17H, model 01H, stepping 02H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0800F12_K17_Zen_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const NAPLES: Profile = Profile {
    name: "naples",
    processor: "AMD EPYC 7551P 32-Core Processor, family 17H, model 01H, stepping 02H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0800F12_K17_Zen_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0x209c_01a9,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x35c2_33ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x0001_bcff,
        leaf_8000_001f_eax: 0xf,
        leaf_8000_001f_ebx: 0x16f,
        leaf_8000_001f_ecx: 0xf,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD Ryzen 7 2700X Eight-Core Processor: Pinnacle Ridge, Zen+.
///
/// Family 17H, model 08H, stepping 02H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0800F82_K17_ZenP_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const PINNACLE_RIDGE: Profile = Profile {
    name: "pinnacle-ridge",
    processor: "AMD Ryzen 7 2700X Eight-Core Processor, family 17H, model 08H, stepping 02H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0800F82_K17_ZenP_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0x209c_01a9,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x35c2_33ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x0001_bcff,
        leaf_8000_001f_eax: 0xf,
        leaf_8000_001f_ebx: 0x16f,
        leaf_8000_001f_ecx: 0xf,
        leaf_8000_001f_edx: 0,
    },
};

/// Hygon C86 3185 8-core Processor: Dhyana, Zen.
///
/// Family 18H, model 00H, stepping 02H. Source: CPUID dump `HygonGenuine/HygonGenuine0900F02_Hygon_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const DHYANA: Profile = Profile {
    name: "dhyana",
    processor: "Hygon C86 3185 8-core Processor, family 18H, model 00H, stepping 02H",
    source: "CPUID dump HygonGenuine/HygonGenuine0900F02_Hygon_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x74d8_3209,
        leaf_7_ebx: 0x009c_01a9,
        leaf_7_ecx: 0,
        leaf_8000_0001_ecx: 0x35c2_33ff,
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

/// AMD EPYC 7742 64-Core Processor: Rome, Zen 2.
///
/// Family 17H, model 31H, stepping 00H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0830F10_K17_Rome_CPUID.txt` in
/// InstLatx64/InstLatx64.
pub const ROME: Profile = Profile {
    name: "rome",
    processor: "AMD EPYC 7742 64-Core Processor, family 17H, model 31H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0830F10_K17_Rome_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ef8_320b,
        leaf_7_ebx: 0x219c_91a9,
        leaf_7_ecx: 0x0040_0004,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x0013_bcff,
        leaf_8000_001f_eax: 0x0001_000f,
        leaf_8000_001f_ebx: 0x16f,
        leaf_8000_001f_ecx: 0x1fd,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD Ryzen 9 3950X 16-Core Processor: Matisse, Zen 2.
///
/// Family 17H, model 71H, stepping 00H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0870F10_K17_Matisse_CPUID_7.txt`
/// in InstLatx64/InstLatx64.
pub const MATISSE: Profile = Profile {
    name: "matisse",
    processor: "AMD Ryzen 9 3950X 16-Core Processor, family 17H, model 71H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0870F10_K17_Matisse_CPUID_7.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0x219c_91a9,
        leaf_7_ecx: 0x0040_0004,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x0013_bcff,
        leaf_8000_001f_eax: 0x0001_000f,
        leaf_8000_001f_ebx: 0x16f,
        leaf_8000_001f_ecx: 0x1fd,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD Ryzen 7 4800H with Radeon Graphics: Renoir, Zen 2.
///
/// Family 17H, model 60H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0860F01_K17_Renoir_CPUID2.txt`
/// in InstLatx64/InstLatx64.
pub const RENOIR: Profile = Profile {
    name: "renoir",
    processor: "AMD Ryzen 7 4800H with Radeon Graphics, family 17H, model 60H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0860F01_K17_Renoir_CPUID2.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0x219c_91a9,
        leaf_7_ecx: 0x0040_0004,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x0013_bcff,
        leaf_8000_001f_eax: 0x0001_000f,
        leaf_8000_001f_ebx: 0x12f,
        leaf_8000_001f_ecx: 0xe,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD EPYC 7763 64-Core Processor: Milan, Zen 3.
///
/// Family 19H, model 01H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0A00F11_K19_Milan_02_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const MILAN: Profile = Profile {
    name: "milan",
    processor: "AMD EPYC 7763 64-Core Processor, family 19H, model 01H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0A00F11_K19_Milan_02_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7eda_320b,
        leaf_7_ebx: 0x219c_97a9,
        leaf_7_ecx: 0x0040_068c,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x119b_9cff,
        leaf_8000_001f_eax: 0x0001_fc3f,
        leaf_8000_001f_ebx: 0x4173,
        leaf_8000_001f_ecx: 0x1fd,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD Ryzen 7 5800X 8-Core Processor: Vermeer, Zen 3.
///
/// Family 19H, model 21H, stepping 02H. Source: CPUID dump
/// `AuthenticAMD/AuthenticAMD0A20F12_K19_Vermeer_03_CPUID.txt` in InstLatx64/InstLatx64.
pub const VERMEER: Profile = Profile {
    name: "vermeer",
    processor: "AMD Ryzen 7 5800X 8-Core Processor, family 19H, model 21H, stepping 02H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0A20F12_K19_Vermeer_03_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ef8_320b,
        leaf_7_ebx: 0x219c_97a9,
        leaf_7_ecx: 0x0040_068c,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x101b_bcff,
        leaf_8000_001f_eax: 0x0001_780f,
        leaf_8000_001f_ebx: 0x173,
        leaf_8000_001f_ecx: 0x1fd,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD Ryzen 7 5800H with Radeon Graphics: Cezanne, Zen 3.
///
/// Family 19H, model 50H, stepping 00H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0A50F00_K19_Cezanne_CPUID6.txt`
/// in InstLatx64/InstLatx64.
pub const CEZANNE: Profile = Profile {
    name: "cezanne",
    processor: "AMD Ryzen 7 5800H with Radeon Graphics, family 19H, model 50H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0A50F00_K19_Cezanne_CPUID6.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0x219c_97a9,
        leaf_7_ecx: 0x0040_068c,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x101b_bcff,
        leaf_8000_001f_eax: 0x0001_780f,
        leaf_8000_001f_ebx: 0,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD EPYC 9654 96-Core Processor: Genoa, Zen 4.
///
/// Family 19H, model 11H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0A10F11_K19_Genoa_01_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const GENOA: Profile = Profile {
    name: "genoa",
    processor: "AMD EPYC 9654 96-Core Processor, family 19H, model 11H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0A10F11_K19_Genoa_01_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7efa_320b,
        leaf_7_ebx: 0xf1bf_97a9,
        leaf_7_ecx: 0x0041_5fce,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3934,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x1fbf_bcff,
        leaf_8000_001f_eax: 0x030f_ffeb,
        leaf_8000_001f_ebx: 0x41b3,
        leaf_8000_001f_ecx: 0x3ee,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD EPYC 9754 128-Core Emb Processor: Bergamo, Zen 4c.
///
/// Family 19H, model A0H, stepping 02H. Source: CPUID dump
/// `AuthenticAMD/AuthenticAMD0AA0F02_K19_Bergamo_04_CPUID.txt` in InstLatx64/InstLatx64.
pub const BERGAMO: Profile = Profile {
    name: "bergamo",
    processor: "AMD EPYC 9754 128-Core Emb Processor, family 19H, model A0H, stepping 02H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0AA0F02_K19_Bergamo_04_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7efa_320b,
        leaf_7_ebx: 0xf1bf_97a9,
        leaf_7_ecx: 0x0041_5fce,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3934,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x1fbf_bcff,
        leaf_8000_001f_eax: 0x030f_fffb,
        leaf_8000_001f_ebx: 0x41b3,
        leaf_8000_001f_ecx: 0x3ee,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD Ryzen 9 7950X 16-Core Processor: Raphael, Zen 4.
///
/// Family 19H, model 61H, stepping 02H. Source: CPUID dump
/// `AuthenticAMD/AuthenticAMD0A60F12_K19_Raphael_04_CPUID.txt` in InstLatx64/InstLatx64.
pub const RAPHAEL: Profile = Profile {
    name: "raphael",
    processor: "AMD Ryzen 9 7950X 16-Core Processor, family 19H, model 61H, stepping 02H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0A60F12_K19_Raphael_04_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ef8_320b,
        leaf_7_ebx: 0xf1bf_97a9,
        leaf_7_ecx: 0x0040_5fce,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0x1ebf_bcff,
        leaf_8000_001f_eax: 1,
        leaf_8000_001f_ebx: 0xb3,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD EPYC 9655 96-Core Processor: Turin, Zen 5.
///
/// Family 1AH, model 02H, stepping 01H. Source: CPUID dump `AuthenticAMD/AuthenticAMD0B00F21_K20_Turin_01_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const TURIN: Profile = Profile {
    name: "turin",
    processor: "AMD EPYC 9655 96-Core Processor, family 1AH, model 02H, stepping 01H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0B00F21_K20_Turin_01_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7efa_320b,
        leaf_7_ebx: 0xf1bf_97ab,
        leaf_7_ecx: 0x1941_5fce,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3934,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0xffbf_bdff,
        leaf_8000_001f_eax: 0xcfff_fffb,
        leaf_8000_001f_ebx: 0x41b3,
        leaf_8000_001f_ecx: 0x3ee,
        leaf_8000_001f_edx: 1,
    },
};

/// AMD Ryzen 9 9950X 16-Core Processor: Granite Ridge, Zen 5.
///
/// Family 1AH, model 44H, stepping 00H. Source: CPUID dump
/// `AuthenticAMD/AuthenticAMD0B40F40_K20_GraniteRidge_02_CPUID.txt` in InstLatx64/InstLatx64.
pub const GRANITE_RIDGE: Profile = Profile {
    name: "granite-ridge",
    processor: "AMD Ryzen 9 9950X 16-Core Processor, family 1AH, model 44H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0B40F40_K20_GraniteRidge_02_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0xf1bf_97ab,
        leaf_7_ecx: 0x1940_5fce,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0xfebb_9dff,
        leaf_8000_001f_eax: 1,
        leaf_8000_001f_ebx: 0xb3,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};

/// AMD Ryzen AI 9 HX 370 w/ Radeon 890M: Strix Point, Zen 5.
///
/// Family 1AH, model 24H, stepping 00H. Source: CPUID dump
/// `AuthenticAMD/AuthenticAMD0B20F40_K20_StrixPoint_06_CPUID.txt` in InstLatx64/InstLatx64.
pub const STRIX_POINT: Profile = Profile {
    name: "strix-point",
    processor: "AMD Ryzen AI 9 HX 370 w/ Radeon 890M, family 1AH, model 24H, stepping 00H",
    source: "CPUID dump AuthenticAMD/AuthenticAMD0B20F40_K20_StrixPoint_06_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCpuid {
        leaf_1_ecx: 0x7ed8_320b,
        leaf_7_ebx: 0xf1bf_97ab,
        leaf_7_ecx: 0x1940_5fce,
        leaf_8000_0001_ecx: 0x75c2_37ff,
        leaf_8000_0001_edx: 0x2fd3_fbff,
        leaf_8000_0008_eax: 0x3030,
        leaf_8000_000a_eax: 1,
        leaf_8000_000a_ebx: 0x8000,
        leaf_8000_000a_ecx: 0,
        leaf_8000_000a_edx: 0xfebf_bdff,
        leaf_8000_001f_eax: 1,
        leaf_8000_001f_ebx: 0xb3,
        leaf_8000_001f_ecx: 0,
        leaf_8000_001f_edx: 0,
    },
};
