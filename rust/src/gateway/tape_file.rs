//! One recorded file as runs of servable records.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use dbn::{Metadata, Publisher, RType, Schema};

use super::layout::{key_of, record_of};
use crate::{
    decode::{DETECT_BYTES, DecodeError, Next, Position, RECORD_BYTES_MIN, check_start, decode_metadata, next_item},
    pieces::PieceError,
    reader::FileReader,
};

/// Records read from a file at once.
const READ_RECORDS: usize = 2_048;
const TS_OUT_BYTES: usize = 8;
const RTYPE_SYMBOL_MAPPING: u8 = RType::SymbolMapping as u8;

/// Why a recorded file cannot be served (any further).
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no DBN, or damaged.
    #[error("{}: {error}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What was found where, and what was expected.
        error: DecodeError,
    },
    /// It is sound, but nothing that a session can be made from.
    #[error("{}: {what}", path.display())]
    Unservable {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

impl TapeError {
    fn of(error: PieceError, path: &Path) -> Self {
        match error {
            PieceError::Io(error) => Self::Io { path: path.into(), error },
            PieceError::Decode(error) => Self::Decode { path: path.into(), error },
        }
    }
}

/// What a file holds.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// `None` for bare records.
    pub(super) metadata: Option<Metadata>,
    /// The metadata's bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) dataset: String,
    pub(super) schema: Schema,
}

/// What lies next in a file.
pub(super) enum Step {
    /// Records to be served; see [`TapeFile::run`].
    Run,
    /// The metadata of a further stream in the same file.
    Metadata(Box<Metadata>),
    /// A symbol mapping of a captured live stream.
    Mapping(Vec<u8>),
    End,
}

/// Which records are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// All, as they are.
    Everything,
    /// Those of one type, in their plain length; the others are counted.
    One { rtype: u8, record_bytes: usize },
}

pub(super) struct TapeFile {
    path: PathBuf,
    reader: FileReader,
    served: Served,
    buffer: Vec<u8>,
    /// What of the buffer is ready to be served.
    ready: Range<usize>,
    /// Behind it: what is not framed yet.
    rest: usize,
    at: Position,
    /// Records that are not served.
    pub(super) skipped: u64,
}

impl TapeFile {
    /// Opens a file and reads what it begins with.
    pub(super) fn open(path: &Path, is_raw: bool) -> Result<(Self, Head), TapeError> {
        let io = |error| TapeError::Io { path: path.into(), error };
        let reader = FileReader::open(path).map_err(io)?;
        let mut file = Self {
            path: path.into(),
            reader,
            served: Served::Everything,
            buffer: Vec::new(),
            ready: 0..0,
            rest: 0,
            at: Position::default(),
            skipped: 0,
        };
        file.read_more()?;
        let head = file.head()?;
        if !is_raw {
            let (rtype, record_bytes) = record_of(head.schema).ok_or_else(|| {
                file.unservable(format!("schema {}, expected one whose records have one length", head.schema))
            })?;
            file.served = Served::One { rtype, record_bytes };
            let version = head.metadata.as_ref().map_or(3, |metadata| metadata.version);
            if matches!(head.schema, Schema::Definition | Schema::Statistics) && version != 3 {
                return Err(file.unservable(format!(
                    "{} records of DBN {version}, expected DBN 3 (`dbn` can upgrade them)",
                    head.schema
                )));
            }
        }
        Ok((file, head))
    }

    fn head(&mut self) -> Result<Head, TapeError> {
        if self.buffer.is_empty() {
            return Err(self.fault(DecodeError::new(0, "the file is empty, expected DBN metadata or records")));
        }
        check_start(&self.buffer[..self.buffer.len().min(DETECT_BYTES)]).map_err(|error| self.fault(error))?;
        let (metadata, bytes) = match self.next_in(0)? {
            Next::Metadata(len) if len <= self.buffer.len() => {
                let bytes = self.buffer[..len].to_vec();
                let metadata = decode_metadata(&bytes, 0).map_err(|error| self.fault(error))?;
                self.skip(len);
                (Some(metadata), bytes)
            }
            next => {
                self.whole(&next)?;
                (None, Vec::new())
            }
        };
        let first = self.buffer.get(self.rest..).filter(|rest| rest.len() >= RECORD_BYTES_MIN);
        let publisher = first.and_then(|record| Publisher::try_from(key_of(record).publisher_id).ok());
        let of_publisher = || publisher.map(|publisher| publisher.dataset().as_str().to_owned()).unwrap_or_default();
        Ok(Head {
            dataset: metadata.as_ref().map_or_else(of_publisher, |metadata| metadata.dataset.clone()),
            // A capture of several schemas, or bare records: what books are made from.
            schema: metadata.as_ref().and_then(|metadata| metadata.schema).unwrap_or(Schema::Mbo),
            metadata,
            bytes,
        })
    }

    /// The records that are ready, without gaps; with [`Served::One`] all of one length.
    #[inline]
    pub(super) fn run(&self) -> &[u8] {
        &self.buffer[self.ready.clone()]
    }

    pub(super) fn run_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.ready.clone()]
    }

    pub(super) fn served(&self) -> Served {
        self.served
    }

    /// Makes records ready that come from elsewhere. Nothing else may be ready.
    pub(super) fn insert(&mut self, records: &[u8]) {
        debug_assert!(self.ready.is_empty());
        self.buffer.splice(..self.rest, records.iter().copied());
        self.ready = 0..records.len();
        self.rest = records.len();
    }

    /// Says that `bytes` of the ready records were served.
    #[inline]
    pub(super) fn consume(&mut self, bytes: usize) {
        self.ready.start += bytes;
        debug_assert!(self.ready.start <= self.ready.end);
    }

    /// Makes further records ready; all that were have been consumed.
    pub(super) fn step(&mut self) -> Result<Step, TapeError> {
        debug_assert!(self.ready.is_empty());
        loop {
            if self.rest == self.buffer.len() {
                self.read_more()?;
                if self.buffer.is_empty() {
                    return Ok(Step::End);
                }
            }
            if self.frame_run()? {
                return Ok(Step::Run);
            }
            let next = self.next_in(self.rest)?;
            self.whole(&next)?;
            let len = next.len();
            let item = self.rest..self.rest + len;
            if matches!(next, Next::Metadata(_)) {
                let offset = self.at.offset;
                let metadata = decode_metadata(&self.buffer[item], offset).map_err(|error| self.fault(error))?;
                self.skip(len);
                return Ok(Step::Metadata(Box::new(metadata)));
            }
            let rtype = self.buffer[item.start + 1];
            if let Served::One { rtype: served, record_bytes } = self.served
                && served == rtype
            {
                let at = self.at;
                let what = format!(
                    "record {}: {len} bytes of type 0x{rtype:02X}, expected {record_bytes} ({} with ts_out)",
                    at.record,
                    record_bytes + TS_OUT_BYTES
                );
                return Err(self.fault(DecodeError::new(at.offset, what)));
            }
            let mapping = (rtype == RTYPE_SYMBOL_MAPPING).then(|| self.buffer[item].to_vec());
            self.at.record += 1;
            self.skip(len);
            match mapping {
                Some(mapping) => return Ok(Step::Mapping(mapping)),
                None => self.skipped += 1,
            }
        }
    }

    /// Frames the servable records that lie next; says whether there are any.
    fn frame_run(&mut self) -> Result<bool, TapeError> {
        match self.served {
            Served::One { rtype, record_bytes } => {
                self.frame_plain(rtype, record_bytes);
                if self.ready.is_empty() {
                    self.frame_with_ts_out(rtype, record_bytes);
                }
            }
            Served::Everything => self.frame_everything()?,
        }
        Ok(!self.ready.is_empty())
    }

    /// Records in their plain length are served where they lie.
    fn frame_plain(&mut self, rtype: u8, record_bytes: usize) {
        let header = [(record_bytes / 4) as u8, rtype];
        let records = self.buffer[self.rest..].chunks_exact(record_bytes);
        let count = records.take_while(|record| record[..2] == header).count();
        self.ready = self.rest..self.rest + count * record_bytes;
        self.note(count, record_bytes);
    }

    /// Those that carry ts_out are moved together without it.
    fn frame_with_ts_out(&mut self, rtype: u8, record_bytes: usize) {
        let stride = record_bytes + TS_OUT_BYTES;
        let header = [(stride / 4) as u8, rtype];
        let from = self.rest;
        let mut count = 0;
        while let Some(record) = self.buffer.get(from + count * stride..from + (count + 1) * stride)
            && record[..2] == header
        {
            let (at, to) = (from + count * stride, from + count * record_bytes);
            self.buffer.copy_within(at..at + record_bytes, to);
            self.buffer[to] = (record_bytes / 4) as u8;
            count += 1;
        }
        self.ready = from..from + count * record_bytes;
        self.note(count, stride);
    }

    fn frame_everything(&mut self) -> Result<(), TapeError> {
        let from = self.rest;
        while self.rest < self.buffer.len() {
            // A fault behind good records is the next call's outcome.
            match self.next_in(self.rest) {
                Ok(Next::Record(len)) if len <= self.buffer.len() - self.rest => self.note(1, len),
                Err(error) if self.rest == from => return Err(error),
                _ => break,
            }
        }
        self.ready = from..self.rest;
        Ok(())
    }

    fn note(&mut self, records: usize, stride: usize) {
        self.at.record += records as u64;
        self.skip(records * stride);
    }

    fn skip(&mut self, bytes: usize) {
        self.rest += bytes;
        self.at.offset += bytes as u64;
        if self.ready.is_empty() {
            self.ready = self.rest..self.rest;
        }
    }

    fn next_in(&self, from: usize) -> Result<Next, TapeError> {
        next_item(&self.buffer[from..], self.at).map_err(|error| self.fault(error))
    }

    /// The reader hands out whole items, so one that is not whole is the file's end.
    fn whole(&self, next: &Next) -> Result<(), TapeError> {
        let have = self.buffer.len() - self.rest;
        if !matches!(next, Next::Unknown(_)) && next.len() <= have {
            return Ok(());
        }
        let what = match next {
            Next::Unknown(_) => format!("the file ends {have} bytes into the next record"),
            Next::Metadata(len) => format!("the file ends inside the metadata: {have} of {len} bytes"),
            Next::Record(len) => format!("the file ends inside record {}: {have} of {len} bytes", self.at.record),
        };
        Err(self.fault(DecodeError::new(self.at.offset + have as u64, what)))
    }

    fn read_more(&mut self) -> Result<(), TapeError> {
        self.buffer.clear();
        self.ready = 0..0;
        self.rest = 0;
        self.reader.read(READ_RECORDS, u64::MAX, &mut self.buffer).map_err(|error| TapeError::of(error, &self.path))
    }

    fn fault(&self, error: DecodeError) -> TapeError {
        TapeError::Decode { path: self.path.clone(), error }
    }

    fn unservable(&self, what: String) -> TapeError {
        TapeError::Unservable { path: self.path.clone(), what }
    }
}
