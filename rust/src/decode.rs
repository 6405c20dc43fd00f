//! DBN bytes, cut anywhere, raw or zstd → metadata and runs of MBO records.
//!
//! Records are read where they lie in the caller's buffer; only one that a cut divides is copied. The `dbn` crate
//! decodes metadata; MBO records are the same 56 bytes in DBN 1, 2 and 3 and need no upgrade. The framing itself (a
//! length byte in words of four bytes) is done here, because `DbnFsm` would copy every byte into its own buffer and
//! step through its states record by record.

use dbn::{
    Metadata, RType, Schema,
    decode::dbn::fsm::{DbnFsm, ProcessResult},
};

use crate::{
    inflate::{Inflate, ZSTD_MAGIC, is_skippable_magic},
    record::{MBO_BYTES, MBO_TS_OUT_BYTES},
};

/// MBO records handed to a [`Sink`] at once, at most.
pub const BLOCK_RECORDS_MAX: usize = 32;

/// Bytes of a stream's start that tell every kind from every other.
pub(crate) const DETECT_BYTES: usize = 12;
/// Metadata longer than this is taken for damage. Two million symbols need less than half of it.
pub(crate) const METADATA_BYTES_MAX: usize = 1 << 30;
pub(crate) const METADATA_PRELUDE_BYTES: usize = 8;
pub(crate) const RECORD_BYTES_MIN: usize = 16;
pub(crate) const RTYPE_MBO: u8 = RType::Mbo as u8;
/// DBN versions whose MBO records are the 56 bytes we read.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;
const RTYPE_SYMBOL_MAPPING: u8 = RType::SymbolMapping as u8;

/// The bytes are not what they should be. Everything before was handed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}{}: {what}", if *.compressed { " of the compressed data" } else { "" })]
pub struct DecodeError {
    /// Where the fault lies, counted from the start of the (decompressed) stream.
    pub offset: u64,
    /// Whether `offset` counts compressed bytes instead.
    pub compressed: bool,
    /// What was found there, and what was expected.
    pub what: String,
}

impl DecodeError {
    pub(crate) fn new(offset: u64, what: impl Into<String>) -> Self {
        Self { offset, compressed: false, what: what.into() }
    }

    pub(crate) fn compressed(offset: u64, what: impl Into<String>) -> Self {
        Self { offset, compressed: true, what: what.into() }
    }
}

/// Where a record lies in its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Number of records of any type before it.
    pub record: u64,
    /// Number of (decompressed) bytes before it.
    pub offset: u64,
}

/// What receives the decoded stream.
pub trait Sink {
    /// The stream's metadata; comes again where streams were concatenated.
    fn metadata(&mut self, metadata: &Metadata);
    /// Between 1 and [`BLOCK_RECORDS_MAX`] MBO records of `stride` bytes each (56 or 64) without gaps.
    fn mbo(&mut self, block: &[u8], stride: usize, first: Position);
    /// A symbol mapping of a live stream.
    fn symbol_mapping(&mut self, record: &[u8]);
    /// A record of any other type; it never concerns a book.
    fn other(&mut self, rtype: u8);
    /// The whole of such a record, for whoever reads what a live gateway says between the data.
    fn other_record(&mut self, record: &[u8]) {
        self.other(record[1]);
    }
}

enum Input {
    /// Too few bytes yet to tell.
    Undecided(Vec<u8>),
    Raw,
    Zstd(Inflate),
}

/// Push decoder: give it bytes as they come.
pub struct Decoder {
    input: Input,
    frames: Frames,
    failed: Option<DecodeError>,
    verifies: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self { input: Input::Undecided(Vec::new()), frames: Frames::default(), failed: None, verifies: false }
    }

    /// One that hands on nothing of a zstd frame with a checksum before that was found right: for live streams, where
    /// damage must not reach a book, and frames are short.
    #[must_use]
    pub fn verifying() -> Self {
        Self { verifies: true, ..Self::new() }
    }

    /// Decodes what `bytes` completes and hands it to the sink.
    ///
    /// # Errors
    /// The first fault in the bytes; what came before it has reached the sink. Every later call fails with the same.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), DecodeError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let result = self.route(bytes, sink);
        self.failed = result.as_ref().err().cloned();
        result
    }

    fn route(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), DecodeError> {
        match &mut self.input {
            Input::Raw => self.frames.push(bytes, sink),
            Input::Zstd(inflate) => inflate.push(bytes, |plain| self.frames.push(plain, sink)),
            Input::Undecided(head) => {
                let wanted = DETECT_BYTES.saturating_sub(head.len()).min(bytes.len());
                head.extend_from_slice(&bytes[..wanted]);
                let Some(kind) = Kind::of(head)? else { return Ok(()) };
                let head = std::mem::take(head);
                self.input = match kind {
                    Kind::Raw => Input::Raw,
                    Kind::Zstd if self.verifies => Input::Zstd(Inflate::verifying()),
                    Kind::Zstd => Input::Zstd(Inflate::new()),
                };
                self.route(&head, sink)?;
                self.route(&bytes[wanted..], sink)
            }
        }
    }

    /// Says that the stream is over.
    ///
    /// # Errors
    /// If it was over before it was whole: empty, or ended inside metadata, a record or a zstd frame.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        match &self.input {
            Input::Undecided(head) if head.is_empty() => {
                Err(DecodeError::new(0, "the stream is empty, expected DBN metadata or records"))
            }
            Input::Undecided(head) => {
                Err(DecodeError::new(head.len() as u64, "the stream ends here, too short for DBN metadata or a record"))
            }
            Input::Zstd(inflate) => inflate.finish().and_then(|()| self.frames.finish()),
            Input::Raw => self.frames.finish(),
        }
    }

    /// Whether the next byte begins an item: nothing is buffered.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.frames.carry.is_empty()
            && match &self.input {
                Input::Undecided(head) => head.is_empty(),
                Input::Raw => true,
                Input::Zstd(inflate) => !inflate.in_frame(),
            }
    }
}

/// Whether this is the predecessor of DBN, which hides its header in a skippable zstd frame.
pub(crate) fn is_dbz(head: &[u8]) -> bool {
    head.get(8..11) == Some(b"DBZ")
}

/// Judges a stream's first bytes (decompressed or not; [`DETECT_BYTES`] are enough).
///
/// # Errors
/// If they begin neither DBN nor zstd data.
pub(crate) fn check_start(head: &[u8]) -> Result<(), DecodeError> {
    Kind::of(head).map(drop)
}

enum Kind {
    Raw,
    Zstd,
}

impl Kind {
    fn of(head: &[u8]) -> Result<Option<Self>, DecodeError> {
        if head.len() < 4 {
            return Ok(None);
        }
        let magic = [head[0], head[1], head[2], head[3]];
        if magic == ZSTD_MAGIC {
            return Ok(Some(Kind::Zstd));
        }
        if is_skippable_magic(magic) {
            if head.len() < DETECT_BYTES {
                return Ok(None);
            }
            if is_dbz(head) {
                return Err(DecodeError::new(
                    0,
                    "this is DBZ, the predecessor of DBN; expected DBN (`databento` and `dbn` can convert it)",
                ));
            }
            return Ok(Some(Kind::Zstd));
        }
        let is_record = usize::from(head[0]) * 4 >= RECORD_BYTES_MIN && RType::try_from(head[1]).is_ok();
        if head.starts_with(b"DBN") || is_record {
            return Ok(Some(Kind::Raw));
        }
        Err(DecodeError::new(
            0,
            format!("starts with \"{}\", expected DBN metadata, a zstd frame or an MBO record", magic.escape_ascii()),
        ))
    }
}

/// What stands at a boundary between items.
pub(crate) enum Next {
    /// Not enough bytes to tell; this many would be.
    Unknown(usize),
    Metadata(usize),
    Record(usize),
}

impl Next {
    pub(crate) fn len(&self) -> usize {
        let (Next::Unknown(len) | Next::Metadata(len) | Next::Record(len)) = self;
        *len
    }
}

#[derive(Default)]
struct Frames {
    /// The beginning of an item whose end has not arrived.
    carry: Vec<u8>,
    at: Position,
}

impl Frames {
    fn push(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<(), DecodeError> {
        while !self.carry.is_empty() {
            let next = self.next(&self.carry)?;
            let len = next.len();
            let taken = len.saturating_sub(self.carry.len()).min(bytes.len());
            self.carry.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.carry.len() < len {
                return Ok(());
            }
            if !matches!(next, Next::Unknown(_)) {
                let item = std::mem::take(&mut self.carry);
                self.items(&item, sink)?;
                debug_assert!(self.carry.is_empty());
                self.carry = item;
                self.carry.clear();
            }
        }
        self.items(bytes, sink)
    }

    /// Hands on all whole items and keeps the rest.
    fn items(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), DecodeError> {
        let mut rest = bytes;
        loop {
            let run = mbo_run(rest);
            if run > 0 {
                let stride = usize::from(rest[0]) * 4;
                sink.mbo(&rest[..run], stride, self.at);
                self.at.record += (run / stride) as u64;
                self.at.offset += run as u64;
                rest = &rest[run..];
                continue;
            }
            let len = self.next(rest)?.len();
            if rest.len() < len {
                self.carry.extend_from_slice(rest);
                return Ok(());
            }
            let (item, after) = rest.split_at(len);
            if item.starts_with(b"DBN") {
                sink.metadata(&self.metadata(item)?);
            } else {
                match item[1] {
                    RTYPE_SYMBOL_MAPPING => sink.symbol_mapping(item),
                    _ => sink.other_record(item),
                }
                self.at.record += 1;
            }
            self.at.offset += len as u64;
            rest = after;
        }
    }

    fn next(&self, bytes: &[u8]) -> Result<Next, DecodeError> {
        next_item(bytes, self.at)
    }

    fn metadata(&self, item: &[u8]) -> Result<Metadata, DecodeError> {
        let metadata = decode_metadata(item, self.at.offset)?;
        match metadata.schema {
            None | Some(Schema::Mbo) => Ok(metadata),
            Some(schema) => Err(DecodeError::new(
                self.at.offset,
                format!("schema {schema}, expected mbo: full-depth books are made from orders"),
            )),
        }
    }

    fn finish(&self) -> Result<(), DecodeError> {
        if self.carry.is_empty() {
            return Ok(());
        }
        let have = self.carry.len();
        let end = self.at.offset + have as u64;
        Err(DecodeError::new(
            end,
            match self.next(&self.carry)? {
                Next::Unknown(_) => format!("the stream ends {have} bytes into the next record"),
                Next::Metadata(len) => format!("the stream ends inside the metadata: {have} of {len} bytes"),
                Next::Record(len) => {
                    format!("the stream ends inside record {}: {have} of {len} bytes", self.at.record)
                }
            },
        ))
    }
}

/// What `bytes`, which begin at a boundary between items, begin with.
pub(crate) fn next_item(bytes: &[u8], at: Position) -> Result<Next, DecodeError> {
    // `DBN` at a boundary begins metadata: as a record it would have the rtype `B`, which no record has.
    const NEEDED_TO_TELL: usize = 4;
    if bytes.len() < NEEDED_TO_TELL {
        return Ok(Next::Unknown(NEEDED_TO_TELL));
    }
    if bytes.starts_with(b"DBN") {
        return next_metadata(bytes, at);
    }
    let (len, rtype) = (usize::from(bytes[0]) * 4, bytes[1]);
    let fail = |what: String| Err(DecodeError::new(at.offset, format!("record {}: {what}", at.record)));
    if len < RECORD_BYTES_MIN {
        return fail(format!("length {len} bytes, expected at least {RECORD_BYTES_MIN}"));
    }
    if RType::try_from(rtype).is_err() {
        return fail(format!("record type 0x{rtype:02X}, expected 0xA0 (MBO) or another of DBN 1 to 3"));
    }
    if rtype == RTYPE_MBO && len != MBO_BYTES && len != MBO_TS_OUT_BYTES {
        return fail(format!("an MBO record of {len} bytes, expected {MBO_BYTES} ({MBO_TS_OUT_BYTES} with ts_out)"));
    }
    Ok(Next::Record(len))
}

fn next_metadata(bytes: &[u8], at: Position) -> Result<Next, DecodeError> {
    let version = bytes[3];
    if !VERSIONS.contains(&version) {
        return Err(DecodeError::new(at.offset + 3, format!("DBN version {version}, expected 1, 2 or 3")));
    }
    let Some(len) = bytes.get(4..METADATA_PRELUDE_BYTES) else {
        return Ok(Next::Unknown(METADATA_PRELUDE_BYTES));
    };
    let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
    if len > METADATA_BYTES_MAX {
        return Err(DecodeError::new(
            at.offset + 4,
            format!("metadata of {len} bytes, expected at most {METADATA_BYTES_MAX}"),
        ));
    }
    Ok(Next::Metadata(METADATA_PRELUDE_BYTES + len))
}

/// The metadata that a whole header holds; `offset` is where it begins.
pub(crate) fn decode_metadata(item: &[u8], offset: u64) -> Result<Metadata, DecodeError> {
    let mut fsm = DbnFsm::new(item.len(), 0);
    fsm.write_all(item);
    let fail = |what: String| Err(DecodeError::new(offset, what));
    match fsm.process() {
        ProcessResult::Metadata(metadata) => Ok(metadata),
        ProcessResult::Err(error) => fail(format!("invalid metadata: {}", in_words(&error))),
        _ => fail("invalid metadata: its parts exceed its stated length".into()),
    }
}

/// An error of the dbn crate without the names and forms of Rust that its own text has.
fn in_words(error: &dbn::Error) -> String {
    match error {
        dbn::Error::Utf8 { source, context } => format!("{source} while {context}"),
        dbn::Error::Conversion { input, desired_type } => {
            format!("{input}, expected a {}", desired_type.rsplit("::").next().unwrap_or(desired_type))
        }
        other => other.to_string(),
    }
}

/// Bytes of the whole MBO records of one length that `bytes` begins with, up to a block.
#[inline(always)]
fn mbo_run(bytes: &[u8]) -> usize {
    if bytes.len() < MBO_BYTES || bytes[1] != RTYPE_MBO {
        return 0;
    }
    let stride = usize::from(bytes[0]) * 4;
    if stride != MBO_BYTES && stride != MBO_TS_OUT_BYTES {
        return 0;
    }
    let whole = (bytes.len() / stride).min(BLOCK_RECORDS_MAX);
    let header = [bytes[0], RTYPE_MBO];
    let same = (0..whole).take_while(|i| bytes[i * stride..i * stride + 2] == header).count();
    same * stride
}
