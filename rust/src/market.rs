//! All books of a feed, keyed by (publisher_id, instrument_id).

mod told;

use std::{mem::MaybeUninit, time::Instant};

use dbn::Metadata;

use crate::{
    book::Broken,
    decode::{BLOCK_RECORDS_MAX, Position, Sink},
    event::{COUNTER_NAMES, EventBook, Rules},
    id_map::{IdMap, Tag},
    journal::Journal,
    latency::Latency,
    record::{MBO_BYTES, MboMsg, Reject, mbo_records},
    symbols::Symbols,
};

/// Rejected records of which the facts are kept; all are counted.
pub const PROBLEMS_MAX: usize = 16;

/// One record in this many is timed on its own.
const LATENCY_SAMPLE_RECORDS: u32 = 64;

/// Up to so many books of up to so many orders (in the one at hand), some megabyte in all, neighbours in queues are in
/// the processor's cache, and asking for them ahead would only cost.
const NEAR_BOOKS_MAX: usize = 8;
const NEAR_ORDERS_MAX: usize = 30_000;

/// The key of a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Databento's number of the venue and dataset.
    pub publisher_id: u16,
    /// Databento's number of the instrument; unique within a dataset and a day.
    pub instrument_id: u32,
}

impl Key {
    /// The key of a record's book.
    #[inline(always)]
    #[must_use]
    pub fn of(record: &MboMsg) -> Self {
        Self { publisher_id: record.hd.publisher_id, instrument_id: record.hd.instrument_id }
    }

    #[inline(always)]
    fn packed(self) -> u64 {
        u64::from(self.publisher_id) << 32 | u64::from(self.instrument_id)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.publisher_id, self.instrument_id)
    }
}

/// How a user names a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Exactly one book.
    Key(Key),
    /// Any publisher's.
    InstrumentId(u32),
    /// `publisher_id:instrument_id` of a book; or else any instrument that ever went by this symbol; or else an
    /// instrument_id.
    Text(String),
}

impl Name {
    /// What a text says if it is no symbol: `publisher_id:instrument_id` or an instrument_id.
    pub(crate) fn numeric(text: &str) -> Option<Self> {
        if let Some((publisher, instrument)) = text.split_once(':') {
            let key = Key { publisher_id: publisher.parse().ok()?, instrument_id: instrument.parse().ok()? };
            return Some(Name::Key(key));
        }
        text.parse().ok().map(Name::InstrumentId)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Key(key) => key.fmt(f),
            Name::InstrumentId(id) => id.fmt(f),
            Name::Text(text) => text.fmt(f),
        }
    }
}

/// Why a name leads to no single book.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No book goes by it.
    #[error("no book of instrument {0}; {1} books are known")]
    Unknown(Name, usize),
    /// Several books go by it.
    #[error("instrument {name} is ambiguous: {}", choices.iter().map(Key::to_string).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was asked for.
        name: Name,
        /// Whom it may mean.
        choices: Vec<Key>,
    },
}

/// A rejected record.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// Why.
    pub reason: Reject,
    /// Where it lies in the stream.
    pub at: Position,
    /// What it says.
    pub record: MboMsg,
}

/// What a market counts beside the counters of its books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Records that are neither MBO nor symbol mappings.
    pub other_records: u64,
    /// Symbol mappings.
    pub symbol_mappings: u64,
    /// Metadata headers.
    pub metadata_headers: u64,
}

/// Where a record goes: the position of its book, and what the id table knows its order by.
#[derive(Clone, Copy, Default)]
struct Way {
    book: u32,
    tag: Tag,
}

/// All books of a feed.
pub struct Market {
    rules: Rules,
    keys: Vec<Key>,
    books: Vec<EventBook>,
    /// From key to position + 1.
    index: IdMap,
    pub(crate) symbols: Symbols,
    pub(crate) problems: Vec<Problem>,
    pub(crate) stream: StreamCounters,
    pub(crate) records_taken: u64,
    records_since_sample: u32,
    /// Whether the books are more than the processor's cache holds.
    is_wide: bool,
    /// Who is told what is applied.
    journal: Option<Box<Journal>>,
    /// How long one record took, of every 64th.
    pub apply_latency: Latency,
}

impl Market {
    /// A market without books.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            keys: Vec::new(),
            books: Vec::new(),
            index: IdMap::new(),
            symbols: Symbols::default(),
            problems: Vec::new(),
            stream: StreamCounters::default(),
            records_taken: 0,
            records_since_sample: 0,
            is_wide: false,
            journal: None,
            apply_latency: Latency::default(),
        }
    }

    /// The choices all its books were made with.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    #[inline(always)]
    fn find(&self, key: Key) -> Option<usize> {
        let keys = self.keys.as_slice();
        let tag = self.index.tag(key.packed());
        let slot = self.index.find(tag, |slot| keys[slot as usize - 1] == key).slot;
        (slot as usize).checked_sub(1)
    }

    #[inline(always)]
    pub(crate) fn find_or_add(&mut self, key: Key) -> usize {
        match self.find(key) {
            Some(at) => at,
            None => self.add(key, EventBook::new(&self.rules)),
        }
    }

    #[cold]
    pub(crate) fn add(&mut self, key: Key, book: EventBook) -> usize {
        let at = self.books.len();
        let keys = self.keys.as_slice();
        let tag = self.index.tag(key.packed());
        let place = self.index.find(tag, |slot| keys[slot as usize - 1] == key);
        self.index.insert(place, u32::try_from(at + 1).expect("fewer than 2^32 - 1 books"));
        self.keys.push(key);
        self.books.push(book);
        at
    }

    pub(crate) fn key_at(&self, at: usize) -> Key {
        self.keys[at]
    }

    pub(crate) fn book_at(&self, at: usize) -> &EventBook {
        &self.books[at]
    }

    #[inline(always)]
    fn push(&mut self, way: Way, record: &MboMsg, position: impl FnOnce() -> Position) {
        if let Err(reason) = self.books[way.book as usize].push_tagged(way.tag, record) {
            self.note_problem(reason, position(), record);
        }
    }

    #[cold]
    fn note_problem(&mut self, reason: Reject, at: Position, record: &MboMsg) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { reason, at, record: *record });
        }
    }

    /// Passes over a block, so that its lookups wait for memory together: the first finds the books and asks for their
    /// tables, the next for what the tables lead to, the next for what that leads to, the last applies.
    #[inline(always)]
    fn records(
        &mut self,
        records: &[MboMsg],
        stride: usize,
        first: Position,
        mut book_of: impl FnMut(&mut Self, usize, &MboMsg) -> usize,
    ) {
        if self.journal.is_some() {
            self.tell(|journal, market| journal.records(market, records, stride));
        }
        let mut ways = [Way::default(); BLOCK_RECORDS_MAX];
        for (i, (way, record)) in ways.iter_mut().zip(records).enumerate() {
            let at = book_of(self, i, record);
            let book = &self.books[at].book;
            *way = Way { book: at as u32, tag: book.tag(record) };
            book.prefetch_tables(way.tag, record);
        }
        for (way, record) in ways.iter().zip(records) {
            self.books[way.book as usize].book.prefetch_slots(way.tag, record);
        }
        if self.is_wide {
            for (way, record) in ways.iter().zip(records) {
                self.books[way.book as usize].book.prefetch_neighbours(way.tag, record);
            }
        }
        self.records_since_sample += records.len() as u32;
        let is_sampled = self.records_since_sample >= LATENCY_SAMPLE_RECORDS;
        let timed = if is_sampled { records.len() / 2 } else { records.len() };
        for (i, (record, way)) in records.iter().zip(ways).enumerate() {
            let position = || Position { record: first.record + i as u64, offset: first.offset + (i * stride) as u64 };
            if i == timed {
                let start = Instant::now();
                self.push(way, record, position);
                self.apply_latency.record(start.elapsed());
                self.records_since_sample = 0;
                let orders = self.books[way.book as usize].book.len();
                self.is_wide = self.books.len() > NEAR_BOOKS_MAX || orders > NEAR_ORDERS_MAX;
            } else {
                self.push(way, record, position);
            }
        }
        self.records_taken += records.len() as u64;
    }

    /// Takes records whose books' positions are known.
    #[inline(never)]
    pub(crate) fn records_at(&mut self, records: &[MboMsg], books: &[u32], stride: usize, first: Position) {
        self.records(records, stride, first, |_, i, _| books[i] as usize);
    }

    /// Takes records as they lie in memory; `first` is where they lie in their stream.
    pub(crate) fn take_records(&mut self, records: &[MboMsg], first: Position) {
        let mut last = (None, 0);
        for (i, block) in records.chunks(BLOCK_RECORDS_MAX).enumerate() {
            let position = Position { record: first.record + (i * BLOCK_RECORDS_MAX) as u64, ..first };
            self.records(block, MBO_BYTES, position, |market, _, record| {
                let key = Key::of(record);
                if last.0 != Some(key) {
                    last = (Some(key), market.find_or_add(key));
                }
                last.1
            });
        }
    }

    /// Lets epochs begin anew from another: of books, what they have cleared since is added to it.
    pub(crate) fn rebase(&mut self, epoch: u64) {
        for book in &mut self.books {
            book.epoch = book.epoch.wrapping_sub(self.rules.epoch).wrapping_add(epoch);
        }
        self.rules.epoch = epoch;
    }

    /// The latest epoch of any book, that of the next one included.
    pub(crate) fn latest_epoch(&self) -> u64 {
        self.books.iter().map(|book| book.epoch).fold(self.rules.epoch, u64::max)
    }

    /// Becomes another moment of the same books. A book that the other market does not have is empty in it; whoever listens to
    /// one has missed what lies between.
    pub(crate) fn become_other(&mut self, mut other: Market) {
        (self.rules, self.records_taken, self.stream) = (other.rules, other.records_taken, other.stream);
        self.symbols.extend(&other.symbols);
        for at in 0..self.books.len() {
            let found = other.find(self.keys[at]).map(|at| &mut other.books[at]);
            let moment = found.map_or_else(
                || EventBook::new(&self.rules),
                |book| std::mem::replace(book, EventBook::new(&other.rules)),
            );
            self.books[at].become_other(moment);
        }
        for (key, book) in other.keys.into_iter().zip(other.books) {
            if self.find(key).is_none() {
                self.add(key, book);
            }
        }
    }

    /// Number of books.
    #[must_use]
    pub fn len(&self) -> usize {
        self.books.len()
    }

    /// Whether there is no book.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.books.is_empty()
    }

    /// MBO records taken so far.
    #[must_use]
    pub fn records_taken(&self) -> u64 {
        self.records_taken
    }

    /// The books in the order in which they first appeared.
    pub fn books(&self) -> impl Iterator<Item = (Key, &EventBook)> {
        self.keys.iter().copied().zip(&self.books)
    }

    /// The book of a key.
    #[must_use]
    pub fn book(&self, key: Key) -> Option<&EventBook> {
        self.find(key).map(|at| &self.books[at])
    }

    pub(crate) fn book_mut(&mut self, key: Key) -> Option<&mut EventBook> {
        self.find(key).map(|at| &mut self.books[at])
    }

    /// The symbol of a book when its last event was captured: the ts_event of a snapshot's orders can be days older.
    #[must_use]
    pub fn symbol(&self, key: Key) -> Option<&str> {
        let ts_recv = self.book(key).map_or(u64::MAX, |book| book.moment().ts_recv);
        self.symbols.get(key.instrument_id, ts_recv).map(|symbol| &**symbol)
    }

    /// The one book that goes by a name.
    ///
    /// # Errors
    /// [`LookupError`] if there is none, or more than one.
    pub fn lookup(&self, name: &Name) -> Result<Key, LookupError> {
        let mut keys: Vec<Key> = match name {
            Name::Key(key) => self.find(*key).map(|_| *key).into_iter().collect(),
            Name::InstrumentId(id) => self.keys.iter().copied().filter(|key| key.instrument_id == *id).collect(),
            Name::Text(text) => {
                let numeric = Name::numeric(text);
                if let Some(Name::Key(key)) = numeric
                    && self.find(key).is_some()
                {
                    return Ok(key);
                }
                let ids: Vec<u32> = self.symbols.ids(text).collect();
                if let (true, Some(numeric)) = (ids.is_empty(), numeric) {
                    return self.lookup(&numeric);
                }
                self.keys.iter().copied().filter(|key| ids.contains(&key.instrument_id)).collect()
            }
        };
        match keys.as_slice() {
            [key] => Ok(*key),
            [] => Err(LookupError::Unknown(name.clone(), self.len())),
            _ => {
                keys.sort_unstable();
                Err(LookupError::Ambiguous { name: name.clone(), choices: keys })
            }
        }
    }

    /// The first rejected records; nothing of an event behind `until`, which is known only once it is complete.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let is_counted = |(at, problem): &(usize, &Problem)| {
            let key = Key::of(&problem.record);
            let before = self.problems[..*at].iter().filter(|other| Key::of(&other.record) == key).count();
            // A book that has come to its end counts no more of them than came before that.
            self.book(key).is_none_or(|book| !book.is_past_end || (before as u64) < book.rejected())
        };
        self.problems.iter().enumerate().filter(is_counted).map(|(_, problem)| problem)
    }

    /// What the stream carried beside MBO records.
    #[must_use]
    pub fn stream_counters(&self) -> StreamCounters {
        self.stream
    }

    /// Sums of the books' counters, under their names.
    #[must_use]
    pub fn counters(&self) -> [(&'static str, u64); COUNTER_NAMES.len()] {
        let mut sums = COUNTER_NAMES.map(|name| (name, 0));
        for book in &self.books {
            for (sum, (_, value)) in sums.iter_mut().zip(book.counters()) {
                sum.1 += value;
            }
        }
        sums
    }

    /// Checks every invariant of every book.
    ///
    /// # Errors
    /// The first broken invariant, with the book's key.
    pub fn check(&self) -> Result<(), Broken> {
        for (key, book) in self.books() {
            book.book().check().map_err(|Broken(what)| Broken(format!("book {key}: {what}")))?;
        }
        Ok(())
    }
}

impl Sink for Market {
    fn metadata(&mut self, metadata: &Metadata) {
        self.stream.metadata_headers += 1;
        self.symbols.add_metadata(metadata);
        self.tell(|journal, market| journal.metadata(metadata, &market.symbols));
    }

    fn mbo(&mut self, block: &[u8], stride: usize, first: Position) {
        let mut copies = [const { MaybeUninit::uninit() }; BLOCK_RECORDS_MAX];
        let mut last = (None, 0);
        self.records(mbo_records(block, stride, &mut copies), stride, first, |market, _, record| {
            let key = Key::of(record);
            if last.0 != Some(key) {
                last = (Some(key), market.find_or_add(key));
            }
            last.1
        });
    }

    fn symbol_mapping(&mut self, record: &[u8]) {
        self.stream.symbol_mappings += 1;
        self.symbols.add_record(record);
        self.tell(|journal, _| journal.mapping(record));
    }

    fn other(&mut self, _rtype: u8) {
        self.stream.other_records += 1;
    }
}
