//! Guest memory lives as long as the space that maps it.
use x86_virt::{Access, Frames, Gpa, GuestRam, MapError, Space};

fn map<'m, A: Frames>(space: &Space<'m, A>, ram: GuestRam<'_>) -> Result<(), MapError> {
    space.map(Gpa::new(0)..Gpa::new(4096), &ram, 0, Access::ALL)
}

fn main() {}
