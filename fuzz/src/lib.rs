//! What the fuzz targets compare with: slow, plain models, and properties that hold for any input.
//!
//! A target is one file in `fuzz_targets` and one `[[bin]]` in `Cargo.toml`. It panics where a property does not hold.

pub mod format;
pub mod machine;
pub mod paging;
pub mod reason;
pub mod register;
pub mod text;
pub mod vmcb_run;
pub mod vmx_entry;
