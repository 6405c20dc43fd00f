//! What locks what. One rule: no lock is held while anybody waits for the GIL.
//!
//! The market's lock is taken per block of at most 32 records and handed over to whoever waits for it, so a reader
//! waits for microseconds, however long the chunk, however slow the disk. Reading, decompressing and framing happen
//! outside it.

use std::sync::atomic::{AtomicU64, Ordering};

use dbn::Metadata;
use parking_lot::{Mutex, MutexGuard};
use pyo3::prelude::*;

use crate::{
    decode::{DecodeError, Decoder, Position, Sink},
    latency::Latency,
    market::Market,
    watch::Watch,
};

/// Works on what a mutex guards: at once if it is free, or else after waiting for it without the GIL. `work` must
/// not call into Python.
pub(super) fn with_lock<T: Send, R: Send>(
    py: Python<'_>,
    mutex: &Mutex<T>,
    work: impl FnOnce(&mut T) -> R + Send,
) -> R {
    match mutex.try_lock() {
        Some(mut guard) => work(&mut guard),
        None => py.detach(|| work(&mut mutex.lock())),
    }
}

pub(super) struct Books {
    market: Market,
    watch: Option<Box<Watch>>,
    /// A panic interrupted a change: what is left cannot be trusted.
    is_torn: bool,
}

impl Books {
    fn sound(&mut self) -> &mut Market {
        assert!(!self.is_torn, "a change to this market was interrupted by a panic");
        &mut self.market
    }
}

/// A live stream's bytes are taken when they are known to be right, a file's as far as they are good.
fn new_decoder(is_watched: bool) -> Decoder {
    if is_watched { Decoder::verifying() } else { Decoder::new() }
}

pub(super) struct Shared {
    books: Mutex<Books>,
    /// What `feed` goes on with. Held for a whole piece, so that the pieces of two threads do not mix.
    decoder: Mutex<Decoder>,
    is_watched: bool,
    /// Bytes fed so far.
    pub(super) bytes: AtomicU64,
    pub(super) snapshot_latency: Mutex<Latency>,
}

impl Shared {
    pub(super) fn new(market: Market, watch: Option<Watch>) -> Self {
        let (is_watched, watch) = (watch.is_some(), watch.map(Box::new));
        Self {
            books: Mutex::new(Books { market, watch, is_torn: false }),
            decoder: Mutex::new(new_decoder(is_watched)),
            is_watched,
            bytes: AtomicU64::new(0),
            snapshot_latency: Mutex::new(Latency::default()),
        }
    }

    /// For short looks: keeps the GIL if the lock is free.
    pub(super) fn glance<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Market) -> R + Send) -> R {
        with_lock(py, &self.books, |books| work(books.sound()))
    }

    /// For callers that have let go of the GIL, or need it for nothing that `work` waits for.
    pub(super) fn locked<R>(&self, work: impl FnOnce(&mut Market) -> R) -> R {
        work(self.books.lock().sound())
    }

    /// As [`locked`](Self::locked), but for nothing if a panic has left the market torn.
    pub(super) fn locked_if_sound(&self, work: impl FnOnce(&mut Market)) {
        let mut books = self.books.lock();
        if !books.is_torn {
            work(&mut books.market);
        }
    }

    /// For long work: lets other Python threads run meanwhile.
    pub(super) fn work<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut Market) -> R + Send) -> R {
        py.detach(|| self.locked(work))
    }

    /// Works on the market and what watches it, without the GIL; nothing if nothing watches it.
    pub(super) fn watched<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Watch, &mut Market) -> R + Send,
    ) -> Option<R> {
        py.detach(|| {
            let mut books = self.books.lock();
            books.sound();
            let Books { market, watch, is_torn } = &mut *books;
            let watch = watch.as_deref_mut()?;
            *is_torn = true;
            let result = work(watch, market);
            *is_torn = false;
            Some(result)
        })
    }

    /// As [`watched`](Self::watched), at the start of another stream: what waits for its rest is forgotten.
    pub(super) fn watched_anew<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Watch, &mut Market) -> R + Send,
    ) -> Option<R> {
        py.detach(|| *self.decoder.lock() = new_decoder(self.is_watched));
        self.watched(py, work)
    }

    /// Goes on with the stream that `feed` is reading; says how many MBO records that completed.
    pub(super) fn feed(&self, piece: &[u8]) -> Result<u64, DecodeError> {
        self.decode(&mut self.decoder.lock(), piece)
    }

    /// Goes on with a stream of the caller's own.
    pub(super) fn decode(&self, decoder: &mut Decoder, piece: &[u8]) -> Result<u64, DecodeError> {
        let mut sink = Locking { shared: self, taken: 0 };
        self.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
        decoder.push(piece, &mut sink)?;
        Ok(sink.taken)
    }

    /// Ends the stream that `feed` is reading; the next begins another.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        std::mem::replace(&mut *self.decoder.lock(), new_decoder(self.is_watched)).finish()
    }

    /// The market as it is between two records of the stream, or nothing inside of one.
    pub(super) fn at_boundary<R>(&self, work: impl FnOnce(&Market) -> R) -> Option<R> {
        let decoder = self.decoder.lock();
        decoder.at_boundary().then(|| work(self.books.lock().sound()))
    }
}

/// A market that is locked for one block at a time.
struct Locking<'a> {
    shared: &'a Shared,
    taken: u64,
}

impl Locking<'_> {
    #[inline]
    fn change(&self, change: impl FnOnce(&mut Market, Option<&mut Watch>)) {
        let mut books = self.shared.books.lock();
        books.sound();
        books.is_torn = true;
        let Books { market, watch, .. } = &mut *books;
        change(market, watch.as_deref_mut());
        books.is_torn = false;
        MutexGuard::unlock_fair(books);
    }
}

impl Sink for Locking<'_> {
    fn metadata(&mut self, metadata: &Metadata) {
        self.change(|market, _| market.metadata(metadata));
    }

    #[inline]
    fn mbo(&mut self, block: &[u8], stride: usize, first: Position) {
        self.change(|market, watch| match watch {
            None => market.mbo(block, stride, first),
            Some(watch) => watch.over(market).mbo(block, stride, first),
        });
        self.taken += (block.len() / stride) as u64;
    }

    fn symbol_mapping(&mut self, record: &[u8]) {
        self.change(|market, _| market.symbol_mapping(record));
    }

    fn other(&mut self, rtype: u8) {
        self.change(|market, _| market.other(rtype));
    }

    fn other_record(&mut self, record: &[u8]) {
        self.change(|market, watch| match watch {
            None => market.other(record[1]),
            Some(watch) => watch.over(market).other_record(record),
        });
    }
}
