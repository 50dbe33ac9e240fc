//! The build script of every image: tells rustc to link it for the bare machine with `link.ld`.
//!
//! A package names this file as its own build script, `build = "../machine/link.rs"`, because arguments of the linker
//! reach a binary only from the build script of the binary's package.

use std::{env, fs, path::PathBuf};

/// What turns a Linux executable into an image for a fixed address. rustc passes `-pie` before these; the last wins.
const ARGUMENTS: [&str; 10] = [
    "-nostartfiles",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,--gc-sections",
    "-Wl,--no-dynamic-linker",
    "-Wl,-z,max-page-size=0x1000",
    "-Wl,-z,noexecstack",
    "-Wl,-z,norelro",
];

fn main() {
    let script = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("link.ld");
    fs::write(&script, include_str!("link.ld")).expect("OUT_DIR is writable");
    for argument in ARGUMENTS {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    // Both files are part of this program: nothing else can change what it prints.
    println!("cargo::rerun-if-changed=Cargo.toml");
}
