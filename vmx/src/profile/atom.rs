//! Intel processors with Atom cores.

use super::Profile;
use crate::capability::RawCapabilities;

/// Intel Atom E680: Tunnel Creek, of the Bonnell generation.
///
/// Family 06H, model 26H, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel0020661_TunnelCreek_CPUID2.txt` in InstLatx64/InstLatx64.
pub const TUNNEL_CREEK: Profile = Profile {
    name: "tunnel-creek",
    processor: "Intel Atom E680, family 06H, model 26H, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel0020661_TunnelCreek_CPUID2.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x005a_0400_0000_0009,
        pin: 0x003f_0000_0016,
        primary: 0x77f9_fffe_0401_e172,
        exit: 0x0003_efff_0003_6dff,
        entry: 0x1fff_0000_11ff,
        true_pin: 0,
        true_primary: 0,
        true_exit: 0,
        true_entry: 0,
        secondary: 0,
        misc: 0x0004_03c0,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x27ff,
        ept_vpid: 0,
        physical_address_width: 32,
        vmcs_enum: 0x2c,
        ..RawCapabilities::NONE
    },
};

/// Intel Pentium N3530: Bay Trail, with Silvermont cores.
///
/// Family 06H, model 37H, stepping 08H. Source: CPU database of VirtualBox, `Intel_Pentium_N3530_2_16GHz.h` in
/// VirtualBox/virtualbox.
pub const SILVERMONT: Profile = Profile {
    name: "silvermont",
    processor: "Intel Pentium N3530, family 06H, model 37H, stepping 08H",
    source: "CPU database of VirtualBox, Intel_Pentium_N3530_2_16GHz.h in VirtualBox/virtualbox",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0002,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x28ef_0000_0000,
        misc: 0x0004_81e6,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0010_27ff,
        ept_vpid: 0x0f01_0611_4141,
        physical_address_width: 36,
        vm_functions: 1,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Celeron N3150: Braswell, with Airmont cores.
///
/// Family 06H, model 4CH, stepping 03H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00406C3_Braswell_CPUID.txt` in InstLatx64/InstLatx64.
pub const AIRMONT: Profile = Profile {
    name: "airmont",
    processor: "Intel Celeron N3150, family 06H, model 4CH, stepping 03H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00406C3_Braswell_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0002,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x28ef_0000_0000,
        misc: 0x0004_81e6,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0010_27ff,
        ept_vpid: 0x0f01_0611_4141,
        physical_address_width: 36,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Celeron J3455: Apollo Lake, with Goldmont cores.
///
/// Family 06H, model 5CH, stepping 09H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00506C9_Goldmont2_CPUID.txt` in InstLatx64/InstLatx64.
pub const GOLDMONT: Profile = Profile {
    name: "goldmont",
    processor: "Intel Celeron J3455, family 06H, model 5CH, stepping 09H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00506C9_Goldmont2_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0011,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x01ff_ffff_0003_6dff,
        entry: 0x0003_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x01ff_ffff_0003_6dfb,
        true_entry: 0x0003_ffff_0000_11fb,
        secondary: 0x001d_6fff_0000_0000,
        misc: 0x6004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0035_27ff,
        ept_vpid: 0x0f01_0633_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Celeron J4105: Gemini Lake, with Goldmont Plus cores.
///
/// Family 06H, model 7AH, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00706A1_GoldmontPlus_CPUID2.txt` in InstLatx64/InstLatx64.
pub const GOLDMONT_PLUS: Profile = Profile {
    name: "goldmont-plus",
    processor: "Intel Celeron J4105, family 06H, model 7AH, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00706A1_GoldmontPlus_CPUID2.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0011,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x01ff_ffff_0003_6dff,
        entry: 0x0003_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x01ff_ffff_0003_6dfb,
        true_entry: 0x0003_ffff_0000_11fb,
        secondary: 0x025d_efff_0000_0000,
        misc: 0x6004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0035_2fff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Pentium Silver N6005: Jasper Lake, with Tremont cores.
///
/// Family 06H, model 9CH, stepping 00H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00906C0_JasperLake_01_CPUID.txt` in InstLatx64/InstLatx64.
pub const TREMONT: Profile = Profile {
    name: "tremont",
    processor: "Intel Pentium Silver N6005, family 06H, model 9CH, stepping 00H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00906C0_JasperLake_01_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0500_0000_0013,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x037f_ffff_0003_6dff,
        entry: 0x0006_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x037f_ffff_0003_6dfb,
        true_entry: 0x0006_ffff_0000_11fb,
        secondary: 0x07dd_6fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0035_2fff,
        ept_vpid: 0x0f01_0671_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i3-N305: Alder Lake-N, with Gracemont cores.
///
/// Family 06H, model BEH, stepping 00H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00B06E0_AlderLakeN_03_CPUID.txt` in InstLatx64/InstLatx64.
pub const GRACEMONT: Profile = Profile {
    name: "gracemont",
    processor: "Intel Core i3-N305, family 06H, model BEH, stepping 00H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00B06E0_AlderLakeN_03_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x03da_0500_0000_0013,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0xf77f_ffff_0003_6dff,
        entry: 0x0076_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0xf77f_ffff_0003_6dfb,
        true_entry: 0x0076_ffff_0000_11fb,
        secondary: 0x075d_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x01ff_2fff,
        ept_vpid: 0x0f01_06f3_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};
