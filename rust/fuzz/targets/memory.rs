//! Counts what is allocated: a run must give all of it back, and must not take more than its input justifies.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is the system allocator's; beside it only counters change.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live_bytes = LIVE_BYTES.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK_BYTES.fetch_max(live_bytes, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Runs `work` on an input of so many bytes.
///
/// # Panics
/// If it leaves memory behind, or ever held more than `fixed_bytes` and `per_byte` times its input.
pub fn bounded(input_bytes: usize, fixed_bytes: usize, per_byte: usize, work: impl FnOnce()) {
    let before_bytes = LIVE_BYTES.load(Relaxed);
    PEAK_BYTES.store(before_bytes, Relaxed);
    work();
    let (after_bytes, peak_bytes) = (LIVE_BYTES.load(Relaxed), PEAK_BYTES.load(Relaxed) - before_bytes);
    assert_eq!(after_bytes, before_bytes, "bytes left behind");
    let allowed_bytes = fixed_bytes + per_byte * input_bytes;
    assert!(peak_bytes <= allowed_bytes, "{peak_bytes} bytes held for {input_bytes} of input, at most {allowed_bytes}");
}
