//! Invalidations that fail: the same is due again.

use x86_virt_core::{Hpa, MemoryType};
use x86_virt_ept::Eptp;

use super::tests::ALL;
use super::{Plan, Stale, Translations, VpidUse};
use crate::instruction_error::{InstructionError, VmFail};
use crate::invalidate::Invalidate;
use crate::invept::{InveptDescriptor, InveptType};
use crate::invvpid::{InvvpidDescriptor, InvvpidType};

const FIRST: Stale = Stale { tables: true, registers: false, is_first_use: true };
const CHANGED: Stale = Stale { tables: true, registers: true, is_first_use: false };

const REFUSED: VmFail = VmFail::Valid(InstructionError::INVALID_INVEPT_OPERAND);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Executed {
    Invept(InveptType, u64),
    Invvpid(InvvpidType, u16),
}

/// A processor that executes so many, and refuses the next.
struct Failing {
    left: usize,
    executed: Vec<Executed>,
}

impl Failing {
    fn after(left: usize) -> Self {
        Self { left, executed: Vec::new() }
    }

    fn execute(&mut self, instruction: Executed) -> Result<(), VmFail> {
        self.left = self.left.checked_sub(1).ok_or(REFUSED)?;
        self.executed.push(instruction);
        Ok(())
    }
}

impl Invalidate for Failing {
    fn invept(&mut self, kind: InveptType, descriptor: InveptDescriptor) -> Result<(), VmFail> {
        self.execute(Executed::Invept(kind, descriptor.eptp().root().get()))
    }

    fn invvpid(&mut self, kind: InvvpidType, descriptor: InvvpidDescriptor) -> Result<(), VmFail> {
        self.execute(Executed::Invvpid(kind, descriptor.vpid()))
    }
}

fn eptps() -> impl Iterator<Item = Eptp> {
    [0x1000, 0x2000].into_iter().map(|root| Eptp::new(Hpa::new(root), 4, MemoryType::WriteBack))
}

/// Fails after 0, 1, 2 and so on instructions, and is right at last. `due` is what a virtual processor with this to invalidate does.
fn fails_at_each(translations: &mut Translations, stale: Stale, due: &[Executed]) {
    let held = translations.arrive(None).unwrap();
    let first: Plan = translations.plan(held, stale, VpidUse::OneEach);
    for left in 0..due.len() {
        assert_eq!(translations.plan(held, stale, VpidUse::OneEach), first, "what is due after an error");
        let mut processor = Failing::after(left);
        assert_eq!(translations.perform(&mut processor, first, held, eptps()), Err(REFUSED));
        assert_eq!(processor.executed, due[..left]);
    }
    assert_eq!(translations.plan(held, stale, VpidUse::OneEach), first, "what is due after an error");
    let before = translations.counts();
    let mut processor = Failing::after(due.len());
    assert_eq!(translations.perform(&mut processor, first, held, eptps()), Ok(()));
    assert_eq!(processor.executed, due);
    let counts = translations.counts();
    let done = (counts.invept_single + counts.invept_all + counts.invvpid_single + counts.invvpid_all)
        - (before.invept_single + before.invept_all + before.invvpid_single + before.invvpid_all);
    assert_eq!(usize::try_from(done), Ok(due.len()), "what was counted");
}

#[test]
fn what_failed_is_due_again() {
    let mut translations = Translations::new(ALL);
    let epoch = [Executed::Invvpid(InvvpidType::ALL_CONTEXTS, 1), Executed::Invept(InveptType::GLOBAL, 0)];
    fails_at_each(&mut translations, FIRST, &epoch);
    let single = InveptType::SINGLE_CONTEXT;
    let changed = [
        Executed::Invvpid(InvvpidType::SINGLE_CONTEXT, 2),
        Executed::Invept(single, 0x1000),
        Executed::Invept(single, 0x2000),
    ];
    fails_at_each(&mut translations, CHANGED, &changed);
}

#[test]
fn an_epoch_has_not_begun_before_all_is_invalidated() {
    let mut translations = Translations::new(ALL);
    let held = translations.arrive(None).unwrap();
    let plan = translations.plan(held, FIRST, VpidUse::OneEach);
    // INVVPID is done, INVEPT is not.
    assert!(translations.perform(&mut Failing::after(1), plan, held, eptps()).is_err());
    // Another virtual processor comes first.
    let other = translations.arrive(None).unwrap();
    let again = translations.plan(other, FIRST, VpidUse::OneEach);
    assert_eq!(again.invept, Some(InveptType::GLOBAL));
    assert!(translations.perform(&mut Failing::after(2), again, other, eptps()).is_ok());
    assert_eq!(translations.plan(held, CHANGED, VpidUse::OneEach).invept, Some(InveptType::SINGLE_CONTEXT));
}
