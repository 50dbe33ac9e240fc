//! The part of the demonstration that knows neither a processor nor a machine: it runs on both vendors' processors, and on none in its tests.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod exit_loop;
