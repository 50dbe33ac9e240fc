//! Intel processors of the Core line.

use super::Profile;
use crate::capability::RawCapabilities;

/// Intel Core2 X6800: Conroe.
///
/// Family 06H, model 0FH, stepping 06H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00006F6_Conroe_CPUID.txt` in InstLatx64/InstLatx64.
pub const CONROE: Profile = Profile {
    name: "conroe",
    processor: "Intel Core2 X6800, family 06H, model 0FH, stepping 06H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00006F6_Conroe_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x001a_0400_0000_0007,
        pin: 0x001f_0000_0016,
        primary: 0x77b9_fffe_0401_e172,
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
        physical_address_width: 36,
        vmcs_enum: 0x2c,
        ..RawCapabilities::NONE
    },
};

/// Intel Core2 Extreme X9650: Yorkfield, of the Penryn generation.
///
/// Family 06H, model 17H, stepping 06H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel0010676_Yorkfield_CPUID.txt` in InstLatx64/InstLatx64.
pub const YORKFIELD: Profile = Profile {
    name: "yorkfield",
    processor: "Intel Core2 Extreme X9650, family 06H, model 17H, stepping 06H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel0010676_Yorkfield_CPUID.txt in InstLatx64/InstLatx64",
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
        physical_address_width: 36,
        vmcs_enum: 0x2c,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-2635QM: Sandy Bridge.
///
/// Family 06H, model 2AH, stepping 07H. Source: CPU database of VirtualBox, `Intel_Core_i7_2635QM.h` in
/// VirtualBox/virtualbox.
pub const SANDY_BRIDGE: Profile = Profile {
    name: "sandy-bridge",
    processor: "Intel Core i7-2635QM, family 06H, model 2AH, stepping 07H",
    source: "CPU database of VirtualBox, Intel_Core_i7_2635QM.h in VirtualBox/virtualbox",
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
        secondary: 0x00ff_0000_0000,
        misc: 0x1004_01e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0006_27ff,
        ept_vpid: 0x0f01_0611_4141,
        physical_address_width: 36,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-3770K: Ivy Bridge.
///
/// Family 06H, model 3AH, stepping 09H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00306A9_IvyBridge_CPUID.txt` in InstLatx64/InstLatx64.
pub const IVY_BRIDGE: Profile = Profile {
    name: "ivy-bridge",
    processor: "Intel Core i7-3770K, family 06H, model 3AH, stepping 09H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00306A9_IvyBridge_CPUID.txt in InstLatx64/InstLatx64",
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
        secondary: 0x08ff_0000_0000,
        misc: 0x1004_01e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0017_27ff,
        ept_vpid: 0x0f01_0611_4141,
        physical_address_width: 36,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-4770: Haswell.
///
/// Family 06H, model 3CH, stepping 03H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00306C3_Haswell_CPUID.txt` in InstLatx64/InstLatx64.
pub const HASWELL: Profile = Profile {
    name: "haswell",
    processor: "Intel Core i7-4770, family 06H, model 3CH, stepping 03H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00306C3_Haswell_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0012,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x7cff_0000_0000,
        misc: 0x3004_81e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0017_67ff,
        ept_vpid: 0x0f01_0633_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-5600U: Broadwell.
///
/// Family 06H, model 3DH, stepping 04H. Source: CPU database of VirtualBox, `Intel_Core_i7_5600U.h` in
/// VirtualBox/virtualbox.
pub const BROADWELL: Profile = Profile {
    name: "broadwell",
    processor: "Intel Core i7-5600U, family 06H, model 3DH, stepping 04H",
    source: "CPU database of VirtualBox, Intel_Core_i7_5600U.h in VirtualBox/virtualbox",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0012,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x0005_7cff_0000_0000,
        misc: 0x3004_81e5,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0037_67ff,
        ept_vpid: 0x0f01_0633_4141,
        physical_address_width: 39,
        vm_functions: 1,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-6700K: Skylake.
///
/// Family 06H, model 5EH, stepping 03H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00506E3_Skylake_02_CPUID.txt` in InstLatx64/InstLatx64.
pub const SKYLAKE: Profile = Profile {
    name: "skylake",
    processor: "Intel Core i7-6700K, family 06H, model 5EH, stepping 03H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00506E3_Skylake_02_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0004,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x01ff_ffff_0003_6dff,
        entry: 0x0003_ffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x01ff_ffff_0003_6dfb,
        true_entry: 0x0003_ffff_0000_11fb,
        secondary: 0x001f_fcff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0037_27ff,
        ept_vpid: 0x0f01_0633_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-8700K: Coffee Lake.
///
/// Family 06H, model 9EH, stepping 0AH. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00906EA_Coffeelake_CPUID.txt` in InstLatx64/InstLatx64.
pub const COFFEE_LAKE: Profile = Profile {
    name: "coffee-lake",
    processor: "Intel Core i7-8700K, family 06H, model 9EH, stepping 0AH",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00906EA_Coffeelake_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0004,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x01ff_ffff_0003_6dff,
        entry: 0x0003_ffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x01ff_ffff_0003_6dfb,
        true_entry: 0x0003_ffff_0000_11fb,
        secondary: 0x005f_fcff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0037_67ff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 39,
        vm_functions: 1,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i3-8121U: Cannon Lake.
///
/// Family 06H, model 66H, stepping 03H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel0060663_CannonLake_CPUID2.txt` in InstLatx64/InstLatx64.
pub const CANNON_LAKE: Profile = Profile {
    name: "cannon-lake",
    processor: "Intel Core i3-8121U, family 06H, model 66H, stepping 03H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel0060663_CannonLake_CPUID2.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0400_0000_0004,
        pin: 0x007f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x01ff_ffff_0003_6dff,
        entry: 0x0003_ffff_0000_11ff,
        true_pin: 0x007f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x01ff_ffff_0003_6dfb,
        true_entry: 0x0003_ffff_0000_11fb,
        secondary: 0x025f_3cff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_2fff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i9-10900K: Comet Lake.
///
/// Family 06H, model A5H, stepping 05H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00A0655_CometLake_CPUID.txt` in InstLatx64/InstLatx64.
pub const COMET_LAKE: Profile = Profile {
    name: "comet-lake",
    processor: "Intel Core i9-10900K, family 06H, model A5H, stepping 05H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00A0655_CometLake_CPUID.txt in InstLatx64/InstLatx64",
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
        secondary: 0x005f_ffff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_67ff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core i7-1065G7: Ice Lake.
///
/// Family 06H, model 7EH, stepping 05H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00706E5_IceLakeY_CPUID.txt` in InstLatx64/InstLatx64.
pub const ICE_LAKE: Profile = Profile {
    name: "ice-lake",
    processor: "Intel Core i7-1065G7, family 06H, model 7EH, stepping 05H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00706E5_IceLakeY_CPUID.txt in InstLatx64/InstLatx64",
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
        secondary: 0x335f_bfff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_2fff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// 11th Gen Intel Core i5-1135G7: Tiger Lake.
///
/// Family 06H, model 8CH, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00806C1_TigerLake_01_CPUID.txt` in InstLatx64/InstLatx64.
pub const TIGER_LAKE: Profile = Profile {
    name: "tiger-lake",
    processor: "11th Gen Intel Core i5-1135G7, family 06H, model 8CH, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00806C1_TigerLake_01_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x01da_0500_0000_0013,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0x137f_ffff_0003_6dff,
        entry: 0x0016_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0x137f_ffff_0003_6dfb,
        true_entry: 0x0016_ffff_0000_11fb,
        secondary: 0x035f_3fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x00ff_2fff,
        ept_vpid: 0x0f01_06f3_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// 11th Gen Intel Core i9-11900K: Rocket Lake.
///
/// Family 06H, model A7H, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00A0671_RocketLake_01_CPUID.txt` in InstLatx64/InstLatx64.
pub const ROCKET_LAKE: Profile = Profile {
    name: "rocket-lake",
    processor: "11th Gen Intel Core i9-11900K, family 06H, model A7H, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00A0671_RocketLake_01_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00da_0500_0000_0013,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x03ff_ffff_0003_6dff,
        entry: 0x0007_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x03ff_ffff_0003_6dfb,
        true_entry: 0x0007_ffff_0000_11fb,
        secondary: 0x035f_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_6fff,
        ept_vpid: 0x0f01_0673_4141,
        physical_address_width: 39,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// 12th Gen Intel Core i9-12900K: Alder Lake.
///
/// Family 06H, model 97H, stepping 02H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel0090672_AlderLake_01_LC_BC_CPUID.txt` in InstLatx64/InstLatx64.
pub const ALDER_LAKE: Profile = Profile {
    name: "alder-lake",
    processor: "12th Gen Intel Core i9-12900K, family 06H, model 97H, stepping 02H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel0090672_AlderLake_01_LC_BC_CPUID.txt in InstLatx64/InstLatx64",
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
        secondary: 0x0f5d_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x01ff_6fff,
        ept_vpid: 0x0001_0f01_06f3_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// 13th Gen Intel Core i9-13900K: Raptor Lake.
///
/// Family 06H, model B7H, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00B0671_RaptorLake_01_CPUID.txt` in InstLatx64/InstLatx64.
pub const RAPTOR_LAKE: Profile = Profile {
    name: "raptor-lake",
    processor: "13th Gen Intel Core i9-13900K, family 06H, model B7H, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00B0671_RaptorLake_01_CPUID.txt in InstLatx64/InstLatx64",
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
        secondary: 0x0f5d_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x01ff_6fff,
        ept_vpid: 0x0001_0f01_06f3_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core Ultra 7 155H: Meteor Lake.
///
/// Family 06H, model AAH, stepping 04H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00A06A4_MeteorLake_10_CPUID.txt` in InstLatx64/InstLatx64.
pub const METEOR_LAKE: Profile = Profile {
    name: "meteor-lake",
    processor: "Intel Core Ultra 7 155H, family 06H, model AAH, stepping 04H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00A06A4_MeteorLake_10_CPUID.txt in InstLatx64/InstLatx64",
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
        secondary: 0xc75f_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x01f7_6fff,
        ept_vpid: 0x0f01_06f3_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core Ultra 9 288V: Lunar Lake.
///
/// Family 06H, model BDH, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00B06D1_LunarLake_04_CPUID.txt` in InstLatx64/InstLatx64.
pub const LUNAR_LAKE: Profile = Profile {
    name: "lunar-lake",
    processor: "Intel Core Ultra 9 288V, family 06H, model BDH, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00B06D1_LunarLake_04_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x03da_0600_0000_0015,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0xff7f_ffff_0003_6dff,
        entry: 0x007e_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0xff7f_ffff_0003_6dfb,
        true_entry: 0x007e_ffff_0000_11fb,
        secondary: 0xcf5f_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x1bf7_6fff,
        ept_vpid: 0x0001_0f01_06f3_4141,
        physical_address_width: 42,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core Ultra 7 265K: Arrow Lake.
///
/// Family 06H, model C6H, stepping 02H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00C0662_ArrowLake_08_CPUID.txt` in InstLatx64/InstLatx64.
pub const ARROW_LAKE: Profile = Profile {
    name: "arrow-lake",
    processor: "Intel Core Ultra 7 265K, family 06H, model C6H, stepping 02H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00C0662_ArrowLake_08_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x03da_0600_0000_0015,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0xff7f_ffff_0003_6dff,
        entry: 0x007e_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0xff7f_ffff_0003_6dfb,
        true_entry: 0x007e_ffff_0000_11fb,
        secondary: 0xc75f_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x1bf7_6fff,
        ept_vpid: 0x0f01_06f3_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};

/// Intel Core 7 350: Wildcat Lake.
///
/// Family 06H, model D5H, stepping 01H. Source: CPUID and MSR dump
/// `GenuineIntel/GenuineIntel00D0651_WildcatLake_02_CPUID.txt` in InstLatx64/InstLatx64.
pub const WILDCAT_LAKE: Profile = Profile {
    name: "wildcat-lake",
    processor: "Intel Core 7 350, family 06H, model D5H, stepping 01H",
    source: "CPUID and MSR dump GenuineIntel/GenuineIntel00D0651_WildcatLake_02_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x07da_0600_0000_0015,
        pin: 0x00ff_0000_0016,
        primary: 0xfffb_fffe_0401_e172,
        exit: 0xff7f_ffff_0003_6dff,
        entry: 0x01fe_ffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfffb_fffe_0400_6172,
        true_exit: 0xff7f_ffff_0003_6dfb,
        true_entry: 0x01fe_ffff_0000_11fb,
        secondary: 0xc75f_7fff_0000_0000,
        misc: 0x7004_c1e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0001_1bf7_6fff,
        ept_vpid: 0x0001_0f01_06f3_4141,
        physical_address_width: 46,
        vmcs_enum: 0x2e,
        ..RawCapabilities::NONE
    },
};
