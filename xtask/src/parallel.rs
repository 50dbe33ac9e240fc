//! Work on each of a list, some at a time.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How much is done at a time, where each takes one core.
pub(crate) const WORKERS: usize = 2;

/// Works on each of `items`, in their order and [`WORKERS`] at a time; the results are in that order.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(worker);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Barrier;

    use super::{WORKERS, each};

    #[test]
    fn results_are_in_order_and_work_is_shared() {
        let calls = AtomicUsize::new(0);
        // Nobody passes it alone.
        let barrier = Barrier::new(WORKERS);
        let results = each(&[1, 2, 3, 4], |item| {
            barrier.wait();
            calls.fetch_add(1, Ordering::Relaxed);
            item * 10
        });
        assert_eq!((results, calls.into_inner()), (vec![10, 20, 30, 40], 4));
        assert!(each(&[], |item: &u8| *item).is_empty());
    }
}
