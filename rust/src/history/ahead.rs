//! Frames of a log that several threads unpack, handed out in their order.
//!
//! Unpacking is most of the work of whoever goes along a log. Frames do not depend on each other, so whoever takes them
//! unpacks one, too, where the next is not ready: on two cores both are busy until the last.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use super::{error::HistoryError, frame::Plain, frame_reader::FrameReader, log::Log};

/// Frames are claimed until they have so many plain bytes: a live log's are small.
const STRETCH_BYTES: usize = 1024 * 1024;
/// Threads beside the one that takes. More would only wait for it.
const WORKERS_MAX: usize = 3;
/// Stretches for each thread that are claimed and not yet taken.
const STRETCHES_AHEAD: usize = 2;

/// What was made of frames that follow each other; of the last, perhaps an error.
type Stretch<T> = VecDeque<Result<T, HistoryError>>;

struct State<T> {
    /// Frames from here on are nobody's yet.
    next: usize,
    /// Stretches that are claimed and not yet taken.
    claimed: usize,
    /// By their first frames.
    ready: BTreeMap<usize, Stretch<T>>,
    /// Memory that was given back: fresh one costs more in page faults than a frame in decompression.
    spare: Vec<Plain>,
    /// Nobody takes any more, or somebody who makes has failed.
    is_over: bool,
}

struct Shared<'a, T> {
    log: &'a Log,
    end: usize,
    claimed_max: usize,
    make: &'a (dyn Fn(usize, Plain) -> T + Sync),
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<'_, T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next frames, if there are any and not too many are ahead already.
    fn claim(&self, state: &mut State<T>) -> Option<(Range<usize>, Vec<Plain>)> {
        if state.next >= self.end || state.claimed >= self.claimed_max {
            return None;
        }
        let start = state.next;
        state.next = stretch_end(self.log, start..self.end);
        state.claimed += 1;
        let spare = state.spare.len().saturating_sub(state.next - start);
        Some((start..state.next, state.spare.split_off(spare)))
    }

    fn make(&self, frames: Range<usize>, mut spare: Vec<Plain>, reader: &mut FrameReader) {
        let start = frames.start;
        let mut stretch = Stretch::with_capacity(frames.len());
        for at in frames {
            let mut plain = spare.pop().unwrap_or_default();
            let made = reader.read(self.log, at, &mut plain).map(|()| (self.make)(at, plain));
            let has_failed = made.is_err();
            stretch.push_back(made);
            if has_failed {
                break;
            }
        }
        self.lock().ready.insert(start, stretch);
        self.changed.notify_all();
    }

    fn work(&self) {
        let _ends_with_it = Panicking(self);
        let mut reader = FrameReader::default();
        let mut state = self.lock();
        while !state.is_over && state.next < self.end {
            state = match self.claim(&mut state) {
                None => self.wait(state),
                Some((frames, spare)) => {
                    drop(state);
                    self.make(frames, spare, &mut reader);
                    self.lock()
                }
            };
        }
    }
}

/// In a thread that makes: what it has claimed will never be ready if it panics, and nobody must wait for that.
struct Panicking<'s, 'a, T>(&'s Shared<'a, T>);

impl<T> Drop for Panicking<'_, '_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().is_over = true;
            self.0.changed.notify_all();
        }
    }
}

/// Where the stretch ends that these frames begin with.
fn stretch_end(log: &Log, frames: Range<usize>) -> usize {
    let mut bytes = 0;
    let is_within = |at: &usize| {
        bytes += log.frames()[*at].entry.plain_bytes as usize;
        bytes <= STRETCH_BYTES
    };
    let whole = frames.clone().take_while(is_within).count();
    frames.start + whole.max(1)
}

/// Hands out what was made of frames, in their order.
pub(super) struct Ahead<'a, T> {
    shared: &'a Shared<'a, T>,
    reader: FrameReader,
    /// The next frame to be handed out.
    at: usize,
    stretch: Stretch<T>,
}

impl<T> Ahead<'_, T> {
    /// The next frame's position and what was made of it; nothing behind the last, or behind an error.
    pub(super) fn next(&mut self) -> Result<Option<(usize, T)>, HistoryError> {
        if self.at >= self.shared.end {
            return Ok(None);
        }
        while self.stretch.is_empty() {
            self.stretch = self.next_stretch();
        }
        let made = self.stretch.pop_front().expect("not empty");
        let at = self.at;
        self.at = if made.is_ok() { at + 1 } else { self.shared.end };
        Ok(Some((at, made?)))
    }

    fn next_stretch(&mut self) -> Stretch<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some(stretch) = state.ready.remove(&self.at) {
                state.claimed -= 1;
                drop(state);
                self.shared.changed.notify_all();
                return stretch;
            }
            assert!(!state.is_over, "a thread that unpacks frames has panicked");
            state = match self.shared.claim(&mut state) {
                // Another thread is at it.
                None => self.shared.wait(state),
                Some((frames, spare)) => {
                    drop(state);
                    self.shared.make(frames, spare, &mut self.reader);
                    self.shared.lock()
                }
            };
        }
    }

    /// Memory for frames to come.
    pub(super) fn give_back(&self, plain: Plain) {
        let mut state = self.shared.lock();
        if state.next < self.shared.end {
            state.spare.push(plain);
        }
    }
}

impl<T> Drop for Ahead<'_, T> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
    }
}

/// Lets `take` take what `make` makes of frames, each by its position and plain bytes, in whatever thread.
pub(super) fn ahead<T: Send, R>(
    log: &Log,
    frames: Range<usize>,
    make: &(dyn Fn(usize, Plain) -> T + Sync),
    take: impl FnOnce(&mut Ahead<'_, T>) -> R,
) -> R {
    let workers = workers(log, frames.clone());
    let Range { start, end } = frames;
    let state = State { next: start, claimed: 0, ready: BTreeMap::new(), spare: Vec::new(), is_over: false };
    let claimed_max = STRETCHES_AHEAD * (workers + 1);
    let shared = Shared { log, end, claimed_max, make, state: Mutex::new(state), changed: Condvar::new() };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| shared.work());
        }
        take(&mut Ahead { shared: &shared, reader: FrameReader::default(), at: start, stretch: Stretch::new() })
    })
}

/// Not more than there are processors, and stretches beside the first.
fn workers(log: &Log, frames: Range<usize>) -> usize {
    let (mut stretches, mut at) = (0, frames.start);
    while at < frames.end && stretches <= WORKERS_MAX {
        at = stretch_end(log, at..frames.end);
        stretches += 1;
    }
    stretches.min(processors()).saturating_sub(1).min(WORKERS_MAX)
}

/// Processors that this process may use.
pub(super) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use std::{
        env, fs, process,
        sync::{
            atomic::{AtomicBool, Ordering},
            mpsc,
        },
        time::Duration,
    };

    use super::*;
    use crate::{
        event::Rules,
        feed::Feed,
        history::{Recorder, Settings},
        record::MBO_BYTES,
        sim::{Config, Simulator},
    };

    const PATIENCE: Duration = Duration::from_secs(60);
    const RECORDS: usize = 120_000;
    const FRAME_RECORDS: u64 = 6_000;

    /// A log of more stretches than there are threads, in a folder of its own.
    fn recorded(name: &str) -> Log {
        let dir = env::temp_dir().join(format!("l3book-ahead-{name}-{}", process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        let settings = Settings { fsync_records: FRAME_RECORDS, ..Settings::default() };
        let mut recorder = Recorder::open(&dir, settings).expect("a free folder");
        let mut feed = Feed::new(Rules::default());
        recorder.begin(&mut feed.market, Some("ahead")).expect("an empty market");
        let mut bytes = Vec::new();
        Simulator::new(Config { instruments: 1, seed: 1, crossed: false, resting_max: Some(64) })
            .expect("valid")
            .read(RECORDS, &mut bytes);
        for piece in bytes.chunks(FRAME_RECORDS as usize * MBO_BYTES) {
            feed.feed(piece).expect("good records");
            assert!(recorder.flush(PATIENCE));
        }
        recorder.end(&mut feed.market);
        assert!(recorder.close(PATIENCE));
        Log::open(&dir).expect("a log")
    }

    /// What a thread does that has claimed frames and fails for a reason of its own: whoever waits for them is told.
    #[test]
    fn a_panic_in_a_thread_that_makes_is_passed_on() {
        let log = recorded("panic");
        let dir = log.dir().to_path_buf();
        let (told, outcome) = mpsc::channel();
        thread::spawn(move || {
            let taker = thread::current().id();
            let has_claimed = AtomicBool::new(processors() == 1);
            let make = |_, _| {
                assert!(processors() > 1, "as another thread would");
                if thread::current().id() != taker {
                    has_claimed.store(true, Ordering::Relaxed);
                    panic!("as a bug would");
                }
                while !has_claimed.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
            };
            let frames = 0..log.frames().len();
            let taken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                ahead(&log, frames, &make, |made| while made.next().expect("good frames").is_some() {});
            }));
            told.send(taken.is_err()).expect("somebody listens");
        });
        assert_eq!(outcome.recv_timeout(PATIENCE), Ok(true));
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn nothing_comes_behind_an_error() {
        let log = recorded("error");
        let frame = &log.frames()[1];
        let path = log.segments()[frame.segment].path.clone();
        let mut bytes = fs::read(&path).expect("a segment");
        let middle = usize::try_from((frame.entry.offset + frame.entry.end_offset()) / 2).expect("a small file");
        bytes[middle] ^= 0xff;
        fs::write(&path, bytes).expect("written");
        let seen = ahead(&log, 0..log.frames().len(), &|at, _| at, |made| {
            [(); 3].map(|()| made.next().map(|made| made.map(|(at, _)| at)).map_err(|_| "damaged"))
        });
        assert_eq!(seen, [Ok(Some(0)), Err("damaged"), Ok(None)]);
        fs::remove_dir_all(log.dir()).expect("removed");
    }
}
