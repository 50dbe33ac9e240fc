//! Processors of Zhaoxin.

use super::Profile;
use crate::capability::RawCapabilities;

/// Zhaoxin KaiXian ZX-C+ C4580: an Isaiah design.
///
/// Family 06H, model 0FH, stepping 0EH. Source: CPUID and MSR dump
/// `CentaurHauls/CentaurHauls00006FE_CNR_Isaiah_CPUID3.txt` in InstLatx64/InstLatx64.
pub const ZX_C: Profile = Profile {
    name: "zx-c",
    processor: "Zhaoxin KaiXian ZX-C+ C4580, family 06H, model 0FH, stepping 0EH",
    source: "CPUID and MSR dump CentaurHauls/CentaurHauls00006FE_CNR_Isaiah_CPUID3.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00d8_0400_0000_0007,
        pin: 0x003f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x003f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x003f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x003f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x1cfe_0000_0000,
        misc: 0x0004_01e0,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0037_27ff,
        ept_vpid: 0x0f01_0613_4141,
        physical_address_width: 36,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Zhaoxin KaiXian KX-U6780A: of the KX-6000 series.
///
/// Family 07H, model 3BH, stepping 01H. Source: CPUID and MSR dump `CentaurHauls/CentaurHauls00307B1_ZXE_CPUID.txt`
/// in InstLatx64/InstLatx64.
pub const KX_6000: Profile = Profile {
    name: "kx-6000",
    processor: "Zhaoxin KaiXian KX-U6780A, family 07H, model 3BH, stepping 01H",
    source: "CPUID and MSR dump CentaurHauls/CentaurHauls00307B1_ZXE_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00d8_0400_0000_0007,
        pin: 0x003f_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x003f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x003f_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x003f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x3cee_0000_0000,
        misc: 0x0004_01e0,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0017_6fff,
        ept_vpid: 0x0f01_0613_4141,
        physical_address_width: 40,
        vmcs_enum: 0x2a,
        ..RawCapabilities::NONE
    },
};

/// Zhaoxin KaiSheng KH-40000/16: of the KH-40000 series.
///
/// Family 07H, model 5BH, stepping 03H. Source: CPUID and MSR dump
/// `CentaurHauls/CentaurHauls00507B3_KX40000_01_CPUID.txt` in InstLatx64/InstLatx64.
pub const KH_40000: Profile = Profile {
    name: "kh-40000",
    processor: "Zhaoxin KaiSheng KH-40000/16, family 07H, model 5BH, stepping 03H",
    source: "CPUID and MSR dump CentaurHauls/CentaurHauls00507B3_KX40000_01_CPUID.txt in InstLatx64/InstLatx64",
    raw: RawCapabilities {
        basic: 0x00d8_0400_0000_0007,
        pin: 0x00ff_0000_0016,
        primary: 0xfff9_fffe_0401_e172,
        exit: 0x007f_ffff_0003_6dff,
        entry: 0xffff_0000_11ff,
        true_pin: 0x00ff_0000_0016,
        true_primary: 0xfff9_fffe_0400_6172,
        true_exit: 0x007f_ffff_0003_6dfb,
        true_entry: 0xffff_0000_11fb,
        secondary: 0x0246_7fff_0000_0000,
        misc: 0x2004_01e7,
        cr0_fixed0: 0x8000_0021,
        cr0_fixed1: 0xffff_ffff,
        cr4_fixed0: 0x2000,
        cr4_fixed1: 0x0077_6fff,
        ept_vpid: 0x0f01_0633_4141,
        physical_address_width: 46,
        vmcs_enum: 0x32,
        ..RawCapabilities::NONE
    },
};
