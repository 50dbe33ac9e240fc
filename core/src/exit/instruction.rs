//! Instructions that end a run, and whose operands are in registers or not of common interest.

/// Defines instructions with the names that the manuals give them.
macro_rules! instructions {
    ($(#[$doc:meta])* pub enum $set:ident { $($(#[$row_doc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        #[non_exhaustive]
        pub enum $set {
            $($(#[$row_doc])* $name,)*
        }

        impl $set {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The mnemonic.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

instructions! {
    /// An instruction of VMX or SVM that a guest executed.
    ///
    /// A guest that has no such extension expects #UD.
    ///
    /// Intel SDM vol. 3, chapter 32, "VMX Instruction Reference"; AMD APM vol. 3, chapter 4, "System Instruction Reference".
    pub enum VirtualizationInstruction {
        /// INVEPT.
        Invept = "INVEPT",
        /// INVVPID.
        Invvpid = "INVVPID",
        /// VMCLEAR.
        Vmclear = "VMCLEAR",
        /// VMFUNC; the function is in EAX.
        Vmfunc = "VMFUNC",
        /// VMLAUNCH.
        Vmlaunch = "VMLAUNCH",
        /// VMPTRLD.
        Vmptrld = "VMPTRLD",
        /// VMPTRST.
        Vmptrst = "VMPTRST",
        /// VMREAD.
        Vmread = "VMREAD",
        /// VMRESUME.
        Vmresume = "VMRESUME",
        /// VMWRITE.
        Vmwrite = "VMWRITE",
        /// VMXOFF.
        Vmxoff = "VMXOFF",
        /// VMXON.
        Vmxon = "VMXON",
        /// CLGI.
        Clgi = "CLGI",
        /// INVLPGA; the address is in RAX, the ASID in ECX.
        Invlpga = "INVLPGA",
        /// SKINIT.
        Skinit = "SKINIT",
        /// STGI.
        Stgi = "STGI",
        /// VMLOAD; the address of the VMCB is in RAX.
        Vmload = "VMLOAD",
        /// VMRUN; the address of the VMCB is in RAX.
        Vmrun = "VMRUN",
        /// VMSAVE; the address of the VMCB is in RAX.
        Vmsave = "VMSAVE",
    }
}

instructions! {
    /// Another instruction that can be made to end a run.
    ///
    /// Intel SDM vol. 3, section 28.1.3, "Instructions That Cause VM Exits Conditionally"; AMD APM vol. 2, section 15.9, "Instruction
    /// Intercepts".
    pub enum SpecialInstruction {
        /// ENCLS; the leaf is in EAX.
        Encls = "ENCLS",
        /// ENCLV; the leaf is in EAX.
        Enclv = "ENCLV",
        /// ENQCMD, whose PASID is not translated.
        Enqcmd = "ENQCMD",
        /// ENQCMDS, whose PASID is not translated.
        Enqcmds = "ENQCMDS",
        /// GETSEC; the leaf is in EAX.
        Getsec = "GETSEC",
        /// INT1.
        Int1 = "INT1",
        /// INVLPGB.
        Invlpgb = "INVLPGB",
        /// IRET.
        Iret = "IRET",
        /// LOADIWKEY.
        Loadiwkey = "LOADIWKEY",
        /// MCOMMIT.
        Mcommit = "MCOMMIT",
        /// PCONFIG; the leaf is in EAX.
        Pconfig = "PCONFIG",
        /// POPF.
        Popf = "POPF",
        /// PUSHF.
        Pushf = "PUSHF",
        /// RDPRU; the register number is in ECX.
        Rdpru = "RDPRU",
        /// RSM.
        Rsm = "RSM",
        /// SEAMCALL.
        Seamcall = "SEAMCALL",
        /// TDCALL.
        Tdcall = "TDCALL",
        /// TLBSYNC.
        Tlbsync = "TLBSYNC",
        /// XRSTORS.
        Xrstors = "XRSTORS",
        /// XSAVES.
        Xsaves = "XSAVES",
    }
}
