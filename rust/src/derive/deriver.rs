//! MBO records in, rows out.

use dbn::{Metadata, SType, SymbolMapping, UNDEF_PRICE, UNDEF_TIMESTAMP};

use super::{bars::Bar, csv, header, ladder::Ladder, quotes::Last, rows, schema::Schema};
use crate::{
    book::{OrderBook, SameSizeModify},
    decode::{BLOCK_RECORDS_MAX, Position, Sink},
    id_map::{IdMap, NIL},
    market::{Key, Name, Problem},
    metadata,
    record::{Action, MboMsg, Reject, flags, read_mbo},
    symbols::Symbols,
};

/// What a deriver has seen and made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// MBO records, wanted or not.
    pub records: u64,
    /// Rows made.
    pub rows: u64,
    /// MBO records that cannot be applied; they make no row.
    pub rejected: u64,
    /// Instruments of which rows are made.
    pub instruments: u64,
    /// Records that are neither MBO nor symbol mappings.
    pub other_records: u64,
    /// Metadata headers.
    pub metadata_headers: u64,
}

struct Instrument {
    key: Key,
    is_wanted: bool,
    /// It is in `active`.
    is_active: bool,
    book: OrderBook,
    ladder: Ladder,
    bar: Bar,
    last: Last,
}

/// Makes the rows of one schema from MBO records of any number of instruments.
///
/// ```
/// use l3book::{decode::Decoder, derive::{Deriver, Schema}, sim::{Config, Simulator}};
///
/// let mut simulator = Simulator::new(Config::default()).unwrap();
/// let mut bytes = simulator.header();
/// simulator.read(1_000, &mut bytes);
/// let (mut decoder, mut deriver) = (Decoder::new(), Deriver::new(Schema::Mbp10));
/// decoder.push(&bytes, &mut deriver).unwrap();
/// deriver.finish();
/// let rows = deriver.take();
/// assert_eq!(rows.len() % size_of::<dbn::Mbp10Msg>(), 0);
/// ```
pub struct Deriver {
    schema: Schema,
    only: Option<Name>,
    instruments: Vec<Instrument>,
    index: IdMap,
    symbols: Symbols,
    metadata: Option<Metadata>,
    /// End of the current interval, ns; 0 before the first record.
    end_ns: u64,
    /// Instruments that the current interval's end will have rows of, in the order of their first update.
    active: Vec<u32>,
    out: Vec<u8>,
    counters: Counters,
    problem: Option<Problem>,
}

impl Deriver {
    /// Rows of all instruments.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self {
            schema,
            only: None,
            instruments: Vec::new(),
            index: IdMap::new(),
            symbols: Symbols::default(),
            metadata: None,
            end_ns: 0,
            active: Vec::new(),
            out: Vec::new(),
            counters: Counters::default(),
            problem: None,
        }
    }

    /// Rows only of the instruments that go by a name when their first record comes.
    #[must_use]
    pub fn only(mut self, name: Name) -> Self {
        self.only = Some(name);
        self
    }

    /// What is derived.
    #[must_use]
    pub fn schema(&self) -> Schema {
        self.schema
    }

    /// What was seen and made so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The first rejected record.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// The rows made and not taken yet.
    #[must_use]
    pub fn rows(&self) -> &[u8] {
        &self.out
    }

    /// Hands the rows over.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Forgets the rows, and keeps their memory for the next.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Takes back a buffer that [`take`](Self::take) gave: to fault in fresh pages for each chunk of rows would cost
    /// more than to write them.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.out.is_empty() && self.out.capacity() < buffer.capacity() {
            buffer.clear();
            self.out = buffer;
        }
    }

    /// The metadata of the rows, once the input's (or its first record) has come.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// The bytes a DBN stream of the rows begins with; nothing before the input's metadata or first record. Of rows of some
    /// instruments only, with the symbols of those that are known by then.
    ///
    /// # Errors
    /// If the metadata cannot be encoded.
    pub fn header(&self) -> dbn::Result<Option<Vec<u8>>> {
        let Some(metadata) = &self.metadata else { return Ok(None) };
        let wanted: Vec<String> =
            self.instruments.iter().filter(|one| one.is_wanted).map(|one| one.key.instrument_id.to_string()).collect();
        if self.only.is_none() || wanted.is_empty() || metadata.stype_out != SType::InstrumentId {
            return metadata::bytes(metadata).map(Some);
        }
        let is_wanted = |mapping: &SymbolMapping| {
            let is_name = matches!(&self.only, Some(Name::Text(name)) if *name == mapping.raw_symbol);
            is_name || mapping.intervals.iter().any(|interval| wanted.contains(&interval.symbol))
        };
        metadata::bytes(&header::narrowed(metadata, is_wanted)).map(Some)
    }

    /// Rows as CSV, as Databento writes it.
    ///
    /// # Errors
    /// If a row's action or side is no printable character.
    pub fn csv(&self, rows: &[u8], options: csv::CsvOptions) -> dbn::Result<Vec<u8>> {
        csv::encode(self.schema, rows, options, self.symbols(rows))
    }

    /// The symbol of each row at its time.
    pub fn symbols<'a>(&'a self, rows: &'a [u8]) -> impl Iterator<Item = Option<&'a str>> {
        let at = self.schema.index_ts_offset();
        rows.chunks_exact(self.schema.row_bytes()).map(move |row| {
            let instrument_id = u32::from_le_bytes(row[4..8].try_into().expect("four bytes"));
            let ts_ns = u64::from_le_bytes(row[at..at + 8].try_into().expect("eight bytes"));
            self.symbols.get(instrument_id, ts_ns).map(|symbol| &**symbol)
        })
    }

    /// Takes one record.
    pub fn push(&mut self, record: &MboMsg) {
        let at = self.find_or_add(record);
        self.take_record(at, record, Position { record: self.counters.records, offset: 0 });
    }

    /// Says that no record before `ts_ns` will come any more: intervals that ended by then are closed.
    pub fn advance(&mut self, ts_ns: u64) {
        if let Some(interval_ns) = self.schema.interval_ns()
            && ts_ns >= self.end_ns
            && ts_ns != UNDEF_TIMESTAMP
        {
            self.close_interval(interval_ns);
            self.end_ns = (ts_ns - ts_ns % interval_ns).saturating_add(interval_ns);
        }
    }

    /// Says that no record will come any more: the last interval is closed.
    pub fn finish(&mut self) {
        if let Some(interval_ns) = self.schema.interval_ns() {
            self.close_interval(interval_ns);
        }
    }

    fn close_interval(&mut self, interval_ns: u64) {
        for at in std::mem::take(&mut self.active) {
            let instrument = &mut self.instruments[at as usize];
            instrument.is_active = false;
            if self.schema.depth() == 0 {
                let start_ns = self.end_ns.saturating_sub(interval_ns);
                rows::push(&mut self.out, &instrument.bar.row(self.schema, instrument.key, start_ns));
            } else {
                let best = instrument.ladder.best();
                rows::push(&mut self.out, &instrument.last.row(self.schema, instrument.key, self.end_ns, best));
            }
            self.counters.rows += 1;
        }
    }

    #[inline(always)]
    fn find_or_add(&mut self, record: &MboMsg) -> usize {
        let key = Key::of(record);
        let packed = u64::from(key.publisher_id) << 32 | u64::from(key.instrument_id);
        let instruments = self.instruments.as_slice();
        let tag = self.index.tag(packed);
        match self.index.find(tag, |slot| instruments[slot as usize - 1].key == key).slot {
            NIL => self.add(key, packed, record),
            slot => slot as usize - 1,
        }
    }

    #[cold]
    fn add(&mut self, key: Key, packed: u64, record: &MboMsg) -> usize {
        let at = self.instruments.len();
        let instruments = self.instruments.as_slice();
        let tag = self.index.tag(packed);
        let place = self.index.find(tag, |slot| instruments[slot as usize - 1].key == key);
        self.index.insert(place, u32::try_from(at + 1).expect("fewer than 2^32 - 1 instruments"));
        let is_wanted = self.is_wanted(key);
        self.counters.instruments += u64::from(is_wanted);
        self.instruments.push(Instrument {
            key,
            is_wanted,
            is_active: false,
            book: OrderBook::new(SameSizeModify::default()),
            ladder: Ladder::new(self.schema.depth()),
            bar: Bar::default(),
            last: Last::default(),
        });
        if self.metadata.is_none() {
            self.metadata = Some(header::made_up(record, self.schema));
        }
        at
    }

    fn is_wanted(&self, key: Key) -> bool {
        match &self.only {
            None => true,
            Some(Name::Key(only)) => *only == key,
            Some(Name::InstrumentId(id)) => *id == key.instrument_id,
            Some(Name::Text(text)) if *text == key.to_string() => true,
            Some(Name::Text(text)) => {
                // As a market looks names up: a number is an instrument_id only where it is no symbol.
                let mut ids = self.symbols.ids(text).peekable();
                match ids.peek() {
                    Some(_) => ids.any(|id| id == key.instrument_id),
                    None => *text == key.instrument_id.to_string(),
                }
            }
        }
    }

    #[inline(always)]
    fn take_record(&mut self, at: usize, record: &MboMsg, position: Position) {
        self.counters.records += 1;
        // Every record tells the time, of whatever instrument: a filter must not move the intervals.
        let now_ns = if record.ts_recv == UNDEF_TIMESTAMP { record.hd.ts_event } else { record.ts_recv };
        if now_ns >= self.end_ns {
            self.advance(now_ns);
        }
        if self.instruments[at].is_wanted {
            self.derive(at, record, position);
        }
    }

    #[inline(always)]
    fn derive(&mut self, at: usize, record: &MboMsg, position: Position) {
        let action = Action::of(record);
        let rejected = Reject::of(action, record);
        if let Some(reason) = rejected {
            self.note_rejected(reason, position, record);
        }
        match self.schema {
            Schema::Mbo => {
                self.out.extend_from_slice(&rows::mbo(record));
                self.counters.rows += 1;
            }
            _ if rejected.is_some() => {}
            Schema::Mbp10 | Schema::Mbp1 | Schema::Tbbo => self.derive_update(at, action, record),
            Schema::Bbo1S | Schema::Bbo1M => self.derive_quote(at, action, record),
            Schema::Trades if action == Action::Trade => {
                rows::push(&mut self.out, &rows::trade(record));
                self.counters.rows += 1;
            }
            Schema::Ohlcv1S | Schema::Ohlcv1M | Schema::Ohlcv1H | Schema::Ohlcv1D if action == Action::Trade => {
                self.derive_bar(at, record);
            }
            _ => {}
        }
    }

    /// Applies the record; says at which level a row shows it, if one does.
    #[inline(always)]
    fn update(&mut self, at: usize, action: Action, record: &MboMsg) -> Option<u8> {
        let instrument = &mut self.instruments[at];
        if action == Action::Trade {
            // The book is still as it was: what a trade does to it comes in later records.
            return Some(0);
        }
        let depth = instrument.ladder.apply(&mut instrument.book, action, record);
        // Databento's rows begin after a snapshot, with the book it gave.
        depth.filter(|_| record.flags.raw() & flags::SNAPSHOT == 0)
    }

    #[inline(always)]
    fn derive_update(&mut self, at: usize, action: Action, record: &MboMsg) {
        let Some(depth) = self.update(at, action, record) else { return };
        let ladder = &self.instruments[at].ladder;
        match self.schema {
            Schema::Mbp10 => rows::push(&mut self.out, &rows::mbp10(record, depth, ladder.levels())),
            Schema::Tbbo if action != Action::Trade => return,
            _ => rows::push(&mut self.out, &rows::mbp1(record, ladder.best())),
        }
        self.counters.rows += 1;
    }

    fn derive_quote(&mut self, at: usize, action: Action, record: &MboMsg) {
        if self.update(at, action, record).is_none() {
            return;
        }
        let last = &mut self.instruments[at].last;
        if action == Action::Trade {
            last.trade(record);
        } else {
            last.update(record);
        }
        self.activate(at);
    }

    fn derive_bar(&mut self, at: usize, record: &MboMsg) {
        if record.price == UNDEF_PRICE {
            return;
        }
        let instrument = &mut self.instruments[at];
        if instrument.is_active {
            instrument.bar.add(record);
        } else {
            instrument.bar = Bar::of(record);
            self.activate(at);
        }
    }

    fn activate(&mut self, at: usize) {
        let instrument = &mut self.instruments[at];
        if !instrument.is_active {
            instrument.is_active = true;
            self.active.push(at as u32);
        }
    }

    #[cold]
    fn note_rejected(&mut self, reason: Reject, at: Position, record: &MboMsg) {
        self.counters.rejected += 1;
        self.problem.get_or_insert(Problem { reason, at, record: *record });
    }
}

impl Sink for Deriver {
    fn metadata(&mut self, metadata: &Metadata) {
        self.counters.metadata_headers += 1;
        self.symbols.add_metadata(metadata);
        // The rows of concatenated streams go under the first's.
        self.metadata.get_or_insert_with(|| header::derived(metadata, self.schema));
    }

    /// Two passes, as in [`Market`](crate::market::Market): the lookups of a block wait for memory together.
    fn mbo(&mut self, block: &[u8], stride: usize, first: Position) {
        let mut found = [0u32; BLOCK_RECORDS_MAX];
        let needs_book = self.schema.depth() > 0;
        for (slot, bytes) in found.iter_mut().zip(block.chunks_exact(stride)) {
            let record = read_mbo(bytes);
            let at = self.find_or_add(&record);
            if needs_book {
                self.instruments[at].book.prefetch(record.order_id);
            }
            *slot = at as u32;
        }
        for (i, bytes) in block.chunks_exact(stride).enumerate() {
            let at = Position { record: first.record + i as u64, offset: first.offset + (i * stride) as u64 };
            self.take_record(found[i] as usize, &read_mbo(bytes), at);
        }
    }

    fn symbol_mapping(&mut self, record: &[u8]) {
        self.symbols.add_record(record);
    }

    fn other(&mut self, _rtype: u8) {
        self.counters.other_records += 1;
    }
}
