//! A change that processors must be told of is not ignored.
#![deny(unused_must_use)]
use x86_virt::{Frames, Gpa, MapError, Space};

fn unmap<A: Frames>(space: &Space<'_, A>) -> Result<(), MapError> {
    space.unmap(Gpa::new(0)..Gpa::new(4096))?;
    Ok(())
}

fn main() {}
