//! Address spaces on both entry formats, and the pool that their tables come from.
#![cfg(test)]
#![expect(unsafe_code, reason = "makes physical memory from host memory")]

mod attributes;
mod common;
mod dirty;
mod failures;
mod host_types;
mod huge;
mod operations;
mod oracle;
mod page_list;
mod pool;
mod space;
