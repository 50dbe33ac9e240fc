//! Intel processors for servers and workstations.

use super::Profile;
use crate::capability::RawCapabilities;

/// Intel Xeon E7450: Dunnington, of the Penryn generation.
///
/// Family 06H, model 1DH, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00106D1_Dunnington_CPUID.txt` in InstLatx64/InstLatx64.
pub const DUNNINGTON: Profile = Profile {
    name: "dunnington",
    processor: "Intel Xeon E7450, family 06H, model 1DH, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00106D1_Dunnington_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x005a_0800_0000_000d,
        pin: 0x003f_0000_0016,
        primary: 0xf7f9_fffe_0401_e172,
        exit: 0x0003_ffff_0003_6dff,
        entry: 0x3fff_0000_11ff,
        true_pin: 0,
        true_primary: 0,
        true_exit: 0,
        true_entry: 0,
        secondary: 0x0041_0000_0000,
        misc: 0x0004_03c0,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x27ff,
        ept_vpid: 0,
        physical_address_width: 40,
        vmcs_enum: 0x2c,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon W3670: Gulftown, of the Westmere generation.
///
/// Family 06H, model 2CH, stepping 02H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00206C2_Gulftown_01_CPUID.txt` in InstLatx64/InstLatx64.
pub const WESTMERE: Profile = Profile {
    name: "westmere",
    processor: "Intel Xeon W3670, family 06H, model 2CH, stepping 02H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00206C2_Gulftown_01_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_000f,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x04ff_0000_0000,
        misc: 0x0004_01e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0002_67ff,
        ept_vpid: 0x0f01_0613_4141,
        physical_address_width: 36,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-3960X: Sandy Bridge-E.
///
/// Family 06H, model 2DH, stepping 06H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00206D6_SandyBridgeE_CPUID.txt` in InstLatx64/InstLatx64.
pub const SANDY_BRIDGE_E: Profile = Profile {
    name: "sandy-bridge-e",
    processor: "Intel Core i7-3960X, family 06H, model 2DH, stepping 06H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00206D6_SandyBridgeE_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0010,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x04ff_0000_0000,
        misc: 0x1004_01e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0006_27ff,
        ept_vpid: 0x0f01_0613_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-4930K: Ivy Bridge-E.
///
/// Family 06H, model 3EH, stepping 04H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00306E4_IvyBridgeE_CPUID.txt` in InstLatx64/InstLatx64.
pub const IVY_BRIDGE_E: Profile = Profile {
    name: "ivy-bridge-e",
    processor: "Intel Core i7-4930K, family 06H, model 3EH, stepping 04H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00306E4_IvyBridgeE_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0010,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x0cff_0000_0000,
        misc: 0x1004_01e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0017_27ff,
        ept_vpid: 0x0f01_0613_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon E5-2699 v3: Haswell-EP.
///
/// Family 06H, model 3FH, stepping 02H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00306F2_HaswellEP_04_CPUID.txt` in InstLatx64/InstLatx64.
pub const HASWELL_EP: Profile = Profile {
    name: "haswell-ep",
    processor: "Intel Xeon E5-2699 v3, family 06H, model 3FH, stepping 02H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00306F2_HaswellEP_04_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0012,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x7fff_0000_0000,
        misc: 0x3004_81e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0017_67ff,
        ept_vpid: 0x0f01_0633_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon E5-2620 v4: Broadwell-EP.
///
/// Family 06H, model 4FH, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00406F1_BroadwellE_02_CPUID.txt` in InstLatx64/InstLatx64.
pub const BROADWELL_EP: Profile = Profile {
    name: "broadwell-ep",
    processor: "Intel Xeon E5-2620 v4, family 06H, model 4FH, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00406F1_BroadwellE_02_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0012,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x0007_7fff_0000_0000,
        misc: 0x3004_81e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0037_67ff,
        ept_vpid: 0x0f01_0633_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon Platinum 8160: Skylake-SP.
///
/// Family 06H, model 55H, stepping 04H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel0050654_SkylakeXeon_20_CPUID.txt` in InstLatx64/InstLatx64.
pub const SKYLAKE_SP: Profile = Profile {
    name: "skylake-sp",
    processor: "Intel Xeon Platinum 8160, family 06H, model 55H, stepping 04H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel0050654_SkylakeXeon_20_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0004,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x01ff_ffff_0003_6dff,
        entry: 0x0003_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x01ff_ffff_0003_6dfb,
        true_entry: 0x0003_ffff_0000_11fb,
        secondary: 0x025f_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_67ff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon Gold 6212U: Cascade Lake-SP.
///
/// Family 06H, model 55H, stepping 07H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel0050657_CascadeLakeSP_CPUID3.txt` in InstLatx64/InstLatx64.
pub const CASCADE_LAKE_SP: Profile = Profile {
    name: "cascade-lake-sp",
    processor: "Intel Xeon Gold 6212U, family 06H, model 55H, stepping 07H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel0050657_CascadeLakeSP_CPUID3.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0004,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x01ff_ffff_0003_6dff,
        entry: 0x0003_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x01ff_ffff_0003_6dfb,
        true_entry: 0x0003_ffff_0000_11fb,
        secondary: 0x025f_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_67ff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon Platinum 8351N: Ice Lake-SP.
///
/// Family 06H, model 6AH, stepping 06H. Source: CPUID and MSR dump `GenuineIntel/GenuineIntel00606A6_ICX_CPUID3.txt`
/// in InstLatx64/InstLatx64.
pub const ICE_LAKE_SP: Profile = Profile {
    name: "ice-lake-sp",
    processor: "Intel Xeon Platinum 8351N, family 06H, model 6AH, stepping 06H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00606A6_ICX_CPUID3.txt in InstLatx64/InstLatx64",
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
        secondary: 0x4bdf_ffff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_7fff,
        ept_vpid: 0x0f01_0673_41c1,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon w9-3475X: Sapphire Rapids.
///
/// Family 06H, model 8FH, stepping 08H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00806F8_SapphireRapids_06_CPUID.txt` in InstLatx64/InstLatx64.
pub const SAPPHIRE_RAPIDS: Profile = Profile {
    name: "sapphire-rapids",
    processor: "Intel Xeon w9-3475X, family 06H, model 8FH, stepping 08H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00806F8_SapphireRapids_06_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x03da_0500_0000_0013,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0xff7f_ffff_0003_6dff,
        entry: 0x007e_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0xff7f_ffff_0003_6dfb,
        true_entry: 0x007e_ffff_0000_11fb,
        secondary: 0xcfff_3fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x03f7_7fff,
        ept_vpid: 0x0001_0f01_06f3_41c1,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon Platinum 8570: Emerald Rapids.
///
/// Family 06H, model CFH, stepping 02H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00C06F2_EmeraldRapids_03_CPUID.txt` in InstLatx64/InstLatx64.
pub const EMERALD_RAPIDS: Profile = Profile {
    name: "emerald-rapids",
    processor: "Intel Xeon Platinum 8570, family 06H, model CFH, stepping 02H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00C06F2_EmeraldRapids_03_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x03da_0500_0000_0013,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0xff7f_ffff_0003_6dff,
        entry: 0x007e_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0xff7f_ffff_0003_6dfb,
        true_entry: 0x007e_ffff_0000_11fb,
        secondary: 0xcfff_ffff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x03f7_7fff,
        ept_vpid: 0x0001_0f01_06f3_41c1,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Xeon 658X: Granite Rapids.
///
/// Family 06H, model ADH, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00A06D1_GraniteRapids_03_CPUID.txt` in InstLatx64/InstLatx64.
pub const GRANITE_RAPIDS: Profile = Profile {
    name: "granite-rapids",
    processor: "Intel Xeon 658X, family 06H, model ADH, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00A06D1_GraniteRapids_03_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x03da_0500_0000_0013,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0xff7f_ffff_0003_6dff,
        entry: 0x007e_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0xff7f_ffff_0003_6dfb,
        true_entry: 0x007e_ffff_0000_11fb,
        secondary: 0xcfff_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x03f7_7fff,
        ept_vpid: 0x0001_0f01_06f3_41c1,
        physical_address_width: 52,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};
