//! One live session: a tape's records in, a protocol's stream out.

use std::path::PathBuf;

use super::{
    clock::Clock,
    delivery::Delivery,
    faults::Fault,
    kept::Kept,
    layout::{due_ns, ts_event},
    outbox::Outbox,
    passing::Passing,
    subscription::{Origin, Request, Subscription},
    tape::{Config, Tape},
    tape_file::TapeError,
    wire,
};

/// What a session is made of.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The files, one after the other.
    pub paths: Vec<PathBuf>,
    /// Bare DBN: the file's own metadata and all its records, without subscriptions.
    pub is_raw: bool,
    /// Send the wall clock behind every record.
    pub ts_out: bool,
    /// Compress with zstd.
    pub is_compressed: bool,
    /// Begin again at the end.
    pub is_looped: bool,
    /// Give records fresh times.
    pub clock: Option<Clock>,
}

/// The first of the ready records, as many as are due.
#[derive(Default)]
struct Due {
    records: usize,
    bytes: usize,
    /// Length of the last of them.
    last_bytes: usize,
    /// Time of the last that has one.
    last_ns: Option<u64>,
}

/// The bytes of one live session, made from recorded DBN files.
///
/// Bytes that it hands out are whole records, and with zstd one whole frame with a checksum. Of one tape record there
/// come, in this order: rows of intervals that have ended by its time, the mapping of its instrument if that is new,
/// the record, the rows derived from it.
///
/// ```
/// use l3book::{gateway::{LiveStream, Options, Request}, sim::{Config, Simulator}};
///
/// let mut simulator = Simulator::new(Config::default()).unwrap();
/// let mut bytes = simulator.header();
/// simulator.read(1_000, &mut bytes);
/// let path = std::env::temp_dir().join(format!("live-stream-{}.dbn", std::process::id()));
/// std::fs::write(&path, bytes).unwrap();
///
/// let mut stream = LiveStream::open(Options { paths: vec![path.clone()], ..Options::default() }).unwrap();
/// let request = Request { schema: "mbo".into(), stype_in: "raw_symbol".into(), ..Request::default() };
/// assert!(stream.subscribe(&request).unwrap().is_empty());
/// let mut out = Vec::new();
/// stream.read(100, None, &mut out).unwrap();
/// assert_eq!(stream.records_sent(), 100);
/// # std::fs::remove_file(path).unwrap();
/// ```
pub struct LiveStream {
    tape: Tape,
    delivery: Delivery,
    kept: Kept,
    is_raw: bool,
    ts_out: bool,
    /// Times of the last record read: as sent, and as recorded.
    last_ns: u64,
    last_recorded_ns: u64,
    /// The position lies elsewhere than behind that record.
    has_jumped: bool,
    pass: u64,
    names_told: u64,
    /// All that the tape's end brings has been queued.
    is_finished: bool,
}

impl LiveStream {
    /// A session at the tape's beginning.
    ///
    /// # Errors
    /// If a file cannot be read or is not DBN, or if the files do not go together.
    pub fn open(options: Options) -> Result<Self, TapeError> {
        let Options { paths, is_raw, ts_out, is_compressed, is_looped, clock } = options;
        let tape = Tape::open(Config { paths: paths.into(), is_raw, is_looped, clock })?;
        let outbox = Outbox::new(ts_out, is_compressed).expect("zstd allocates a context");
        let delivery = Delivery::new(outbox);
        Ok(Self {
            tape,
            delivery,
            kept: Kept::default(),
            is_raw,
            ts_out,
            last_ns: 0,
            last_recorded_ns: 0,
            has_jumped: false,
            pass: 0,
            names_told: 0,
            is_finished: false,
        })
    }

    /// The dataset of the files; empty where nothing tells.
    #[must_use]
    pub fn dataset(&self) -> &str {
        &self.tape.head.dataset
    }

    /// The schema of the files.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.tape.head.schema.as_str()
    }

    /// The session's first bytes.
    ///
    /// # Errors
    /// If the dataset's name does not fit.
    pub fn metadata(&mut self, start_ns: u64) -> Result<Vec<u8>, String> {
        let bytes = if self.is_raw {
            self.tape.head.bytes.clone()
        } else {
            wire::metadata_bytes(&wire::session_metadata(&self.tape.head.dataset, start_ns, self.ts_out))?
        };
        Ok(self.delivery.outbox.encode(bytes))
    }

    /// Takes a subscription; says which of its symbols mean nothing here.
    ///
    /// # Errors
    /// If the files cannot give what it asks for, in one line.
    pub fn subscribe(&mut self, request: &Request) -> Result<Vec<String>, String> {
        if self.is_raw {
            return Err("a raw session sends all records and takes no subscriptions".into());
        }
        let (subscription, unresolved) = Subscription::new(request, self.tape.head.schema, &self.tape.names)?;
        if let Origin::Derived(schema) = subscription.origin {
            self.kept.want_rows(schema);
        }
        if subscription.snapshots.is_some() {
            self.kept.want_market();
        }
        let (recorded_ns, now_ns) = (self.recorded_position_ns(), self.position_ns());
        self.delivery.outbox.look_at_clock();
        self.delivery.subscribe(subscription, &self.tape.names, recorded_ns, now_ns);
        Ok(unresolved)
    }

    /// Goes on to the first record with a ts_event not before `ts_ns`; says how many records were passed over.
    pub fn seek(&mut self, ts_ns: u64) -> u64 {
        self.pass_over(|tape| tape.seek(ts_ns, |record| ts_event(record) >= ts_ns))
    }

    /// Goes on to the first record that is due later than `ts_ns`, as to join a clock that runs already; says how many
    /// records were passed over.
    pub fn seek_due(&mut self, ts_ns: u64) -> u64 {
        self.pass_over(|tape| tape.seek(ts_ns, |record| due_ns(record) > ts_ns))
    }

    fn pass_over(&mut self, seek: impl FnOnce(&mut Tape)) -> u64 {
        let before = self.tape.position();
        self.has_jumped = true;
        seek(&mut self.tape);
        self.tape.position().saturating_sub(before)
    }

    /// Goes to a position: so many records lie before it.
    ///
    /// # Errors
    /// If a file cannot be read again.
    pub fn seek_position(&mut self, position: u64) -> Result<(), TapeError> {
        self.has_jumped = true;
        self.tape.seek_position(position)
    }

    /// Puts what is queued into `out`: mappings, snapshots, system and error records.
    ///
    /// # Errors
    /// If books that are needed now cannot be made from the part of the tape that lies behind.
    pub fn take(&mut self, out: &mut Vec<u8>) -> Result<(), TapeError> {
        self.delivery.outbox.look_at_clock();
        self.prepare()?;
        self.delivery.outbox.take(out);
        Ok(())
    }

    /// Puts what is queued and what the next `records_max` tape records bring into `out`. No record later than
    /// `until_ns` is read; without one, no interval is closed but by records.
    ///
    /// # Errors
    /// If the tape is damaged. All good records are handed out first: the fault is then the next call's outcome.
    pub fn read(&mut self, records_max: usize, until_ns: Option<u64>, out: &mut Vec<u8>) -> Result<(), TapeError> {
        self.delivery.outbox.look_at_clock();
        self.prepare()?;
        self.advance(records_max, until_ns);
        self.delivery.outbox.take(out);
        if out.is_empty() { self.tape.take_fault().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// Goes on like `read` without sending what the records bring, for a client that is too slow; says how many data
    /// records it does not get. The next record of each book that lost one carries MAYBE_BAD_BOOK.
    ///
    /// # Errors
    /// If books that are needed now cannot be made from the part of the tape that lies behind.
    pub fn skip(&mut self, records_max: usize, until_ns: Option<u64>) -> Result<u64, TapeError> {
        self.delivery.outbox.look_at_clock();
        self.prepare()?;
        self.delivery.outbox.begin_skip();
        self.advance(records_max, until_ns);
        Ok(self.delivery.outbox.end_skip())
    }

    /// Queues what the next records of the tape bring.
    fn advance(&mut self, records_max: usize, until_ns: Option<u64>) {
        let mut left = records_max;
        while left > 0 {
            if !self.tape.fill() {
                self.finish();
                break;
            }
            self.note_pass();
            if std::mem::replace(&mut self.names_told, self.tape.names_told()) != self.names_told {
                self.delivery.routes.forget();
            }
            let Due { records, bytes, last_bytes, last_ns } = self.due(left, until_ns.unwrap_or(u64::MAX));
            if records == 0 {
                self.idle(until_ns.unwrap_or(0));
                break;
            }
            if self.is_raw {
                self.delivery.outbox.any_data(&self.tape.run()[..bytes], records);
            } else {
                Passing::new(&self.tape, bytes, self.last_ns, &mut self.delivery, &mut self.kept).deliver();
            }
            let last = &self.tape.run()[bytes - last_bytes..bytes];
            self.last_recorded_ns = self.tape.recorded_ns(records - 1, last);
            self.last_ns = last_ns.unwrap_or(self.last_ns);
            self.has_jumped = false;
            self.tape.consume(records, bytes);
            left -= records;
        }
    }

    /// Which of the ready records are due.
    fn due(&self, records_max: usize, until_ns: u64) -> Due {
        let run = self.tape.run();
        let Some(stride) = self.tape.record_bytes() else {
            let mut due = Due::default();
            while due.bytes < run.len() && due.records < records_max && due_ns(&run[due.bytes..]) <= until_ns {
                due.last_bytes = usize::from(run[due.bytes]) * 4;
                due.last_ns = Some(due_ns(&run[due.bytes..])).filter(|ts_ns| *ts_ns > 0).or(due.last_ns);
                due.bytes += due.last_bytes;
                due.records += 1;
            }
            return due;
        };
        let ready = (run.len() / stride).min(records_max);
        let records = match until_ns {
            u64::MAX => ready,
            _ => run.chunks_exact(stride).take(ready).take_while(|record| due_ns(record) <= until_ns).count(),
        };
        let bytes = records * stride;
        let last_ns = run[..bytes].rchunks_exact(stride).map(due_ns).find(|ts_ns| *ts_ns > 0);
        Due { records, bytes, last_bytes: stride, last_ns }
    }

    /// Brings the kept books and derivers here, and queues the snapshots of new subscriptions.
    fn prepare(&mut self) -> Result<(), TapeError> {
        if self.kept.catch_up(&self.tape)? {
            self.pass = self.tape.consumed_pass();
        }
        let (recorded_ns, now_ns) = (self.recorded_position_ns(), self.position_ns());
        if let Some(market) = self.kept.market() {
            self.delivery.begin_subscriptions(market, &self.tape.names, recorded_ns, now_ns);
        }
        Ok(())
    }

    /// Where recorded time begins anew, intervals that are open end with the pass.
    fn note_pass(&mut self) {
        if std::mem::replace(&mut self.pass, self.tape.pass()) != self.pass && !self.tape.has_clock() {
            self.kept.finish();
            self.send_rows();
            self.kept.restart();
        }
    }

    /// No record is due: intervals that have ended meanwhile are closed.
    fn idle(&mut self, until_ns: u64) {
        if self.kept.derives() {
            self.kept.advance(until_ns);
            self.send_rows();
        }
    }

    /// Nothing will follow, or only after a fault.
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.is_finished, true) {
            self.kept.finish();
            self.send_rows();
            self.delivery.outbox.flush_held();
        }
    }

    fn send_rows(&mut self) {
        let (delivery, names) = (&mut self.delivery, &self.tape.names);
        let (recorded_ns, now_ns) = (self.last_recorded_ns, self.last_ns);
        self.kept.drain_rows(|schema, rows| delivery.rows(schema, rows, names, recorded_ns, now_ns));
    }

    /// The time of the session's position: of the last record read, or else, or after a jump, of the next.
    fn position_ns(&mut self) -> u64 {
        if self.last_ns > 0 && !self.has_jumped {
            return self.last_ns;
        }
        self.tape.next_ns().unwrap_or(self.last_ns)
    }

    /// As recorded: of the next record, or else of the last one read.
    fn recorded_position_ns(&mut self) -> u64 {
        if self.tape.fill() { self.tape.recorded_ns(0, self.tape.run()) } else { self.last_recorded_ns }
    }

    /// Queues a system record; as much of the text as fits.
    pub fn system(&mut self, code: u8, text: &str) {
        let record = wire::system(self.position_ns(), code, text);
        self.delivery.outbox.look_at_clock();
        self.delivery.outbox.control(record.as_ref());
    }

    /// Queues an error record; as much of the text as fits.
    pub fn error(&mut self, code: u8, text: &str) {
        let record = wire::error(self.position_ns(), code, text);
        self.delivery.outbox.look_at_clock();
        self.delivery.outbox.control(record.as_ref());
    }

    /// Does something to the next data records on their way out.
    pub fn inject(&mut self, fault: Fault, records: u64) {
        self.delivery.outbox.inject(fault, records);
    }

    /// Takes back a buffer that was filled and is done with.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.delivery.outbox.recycle(buffer);
    }

    /// The time of the next tape record, ns; none at the end, or before damage.
    pub fn next_ts_ns(&mut self) -> Option<u64> {
        self.tape.next_ns()
    }

    /// The time of the last tape record read, ns; 0 before the first.
    #[must_use]
    pub fn last_ts_ns(&self) -> u64 {
        self.last_ns
    }

    /// Tape records read or passed over.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.tape.position()
    }

    /// Times that the tape has begun again.
    #[must_use]
    pub fn passes(&self) -> u64 {
        self.tape.pass()
    }

    /// Data records sent.
    #[must_use]
    pub fn records_sent(&self) -> u64 {
        self.delivery.outbox.records_sent
    }

    /// Subscriptions that are kept: repeated ones do not add up.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.delivery.subscriptions.len()
    }

    /// Records of the files that are not of their schema, and so not served.
    #[must_use]
    pub fn records_skipped(&self) -> u64 {
        self.tape.skipped()
    }

    /// Whether nothing more will come, of itself.
    pub fn is_ended(&mut self) -> bool {
        let is_over = !self.tape.fill() && self.tape.is_over();
        let is_idle = self.delivery.outbox.is_empty() && !self.delivery.has_new_subscription();
        is_over && is_idle && (self.is_finished || !self.kept.derives())
    }
}
