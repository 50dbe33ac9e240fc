//! Every value type of the facade can be made from any bytes.
#![cfg(test)]
#![cfg(all(feature = "arbitrary", feature = "vmx", feature = "svm", target_arch = "x86_64"))]

use core::fmt::Debug;

use x86_virt::arbitrary::{Arbitrary, Unstructured};
use x86_virt::{CreateError, EnterError, EntryError, Processor, Reason, SpaceError, Vendor};

fn make<T: for<'a> Arbitrary<'a> + Debug>(bytes: &[u8]) -> String {
    format!("{:?}", T::arbitrary(&mut Unstructured::new(bytes)).unwrap())
}

fn make_all(bytes: &[u8]) -> [String; 7] {
    [
        make::<CreateError>(bytes),
        make::<EnterError>(bytes),
        make::<EntryError>(bytes),
        make::<Processor>(bytes),
        make::<Reason>(bytes),
        make::<SpaceError>(bytes),
        make::<Vendor>(bytes),
    ]
}

#[test]
fn any_bytes_make_every_value() {
    for seed in 0..=u8::MAX {
        let bytes: [u8; 96] = core::array::from_fn(|at| seed.wrapping_mul(37).wrapping_add(at.to_le_bytes()[0]));
        assert_eq!(make_all(&bytes), make_all(&bytes));
        make_all(&bytes[..usize::from(seed % 96)]);
    }
    // The brand may be no text.
    let processor = Processor::arbitrary(&mut Unstructured::new(&[0xff; 64])).unwrap();
    assert_eq!(processor.brand(), "");
}
