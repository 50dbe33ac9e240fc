//! x86-virt
#![no_std]
