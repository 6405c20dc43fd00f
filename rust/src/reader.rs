//! A file in chunks of whole records, for those who decide how fast it is read.
//!
//! The chunks are plain DBN, whatever the file's compression, and the first begins with the metadata. What cannot be
//! cut into records is passed on as it is: whoever is fed the chunks judges them, and says where the fault lies.

use std::{io, path::Path};

use crate::{
    decode::{METADATA_BYTES_MAX, METADATA_PRELUDE_BYTES, RECORD_BYTES_MIN, RTYPE_MBO, VERSIONS},
    pieces::{PieceError, Pieces},
    record::MBO_BYTES,
};

/// Reads a DBN file, raw or zstd.
pub struct FileReader {
    pieces: Pieces,
    buffer: Vec<u8>,
    at: usize,
    is_drained: bool,
    /// A fault behind records that were handed out first.
    fault: Option<PieceError>,
}

#[derive(Clone, Copy)]
enum What {
    Metadata,
    /// With its ts_recv if it is an MBO record, or else its ts_event.
    Record(u64),
    /// Neither: all that is at hand.
    Fault,
}

#[derive(Clone, Copy)]
struct Item {
    len: usize,
    what: What,
}

impl FileReader {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be opened, or is a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { pieces: Pieces::open(path)?, buffer: Vec::new(), at: 0, is_drained: false, fault: None })
    }

    /// Appends the next records to `out`: at most `records_max`, and none whose time is later than `until_ns`.
    ///
    /// # Errors
    /// If the file cannot be read or inflated. All good records are handed out first: the fault is then the next
    /// call's outcome.
    pub fn read(&mut self, records_max: usize, until_ns: u64, out: &mut Vec<u8>) -> Result<(), PieceError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let len_before = out.len();
        match self.read_items(records_max, until_ns, out) {
            Err(fault) if out.len() > len_before => {
                self.fault = Some(fault);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn read_items(&mut self, records_max: usize, until_ns: u64, out: &mut Vec<u8>) -> Result<(), PieceError> {
        let mut records = 0;
        while let Some(item) = self.item_at(0)? {
            match item.what {
                What::Record(ts_ns) if records == records_max || ts_ns > until_ns => break,
                What::Record(_) => records += 1,
                What::Metadata | What::Fault => {}
            }
            out.extend_from_slice(&self.buffer[self.at..self.at + item.len]);
            self.at += item.len;
            // Whoever is fed this says what is wrong with it; more of the same would only take memory.
            if matches!(item.what, What::Fault) {
                break;
            }
        }
        Ok(())
    }

    /// The time of the next record: ts_recv, or ts_event of one that is no MBO record. `None` at the end.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn next_ts_ns(&mut self) -> Result<Option<u64>, PieceError> {
        let mut ahead = 0;
        while let Some(item) = self.item_at(ahead)? {
            match item.what {
                What::Record(ts_ns) => return Ok(Some(ts_ns)),
                What::Metadata => ahead += item.len,
                What::Fault => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether everything has been handed out.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.is_drained && self.at == self.buffer.len() && self.fault.is_none()
    }

    /// Bytes of the file read so far, and its length; see [`Pieces`].
    #[must_use]
    pub fn progress_bytes(&self) -> (u64, u64) {
        (self.pieces.file_bytes(), self.pieces.size_bytes())
    }

    fn item_at(&mut self, ahead: usize) -> Result<Option<Item>, PieceError> {
        loop {
            let rest = &self.buffer[self.at + ahead..];
            match Self::next(rest) {
                Ok(item) if item.len <= rest.len() => return Ok(Some(item)),
                // What the file's end cuts off is handed out too: it is a fault that somebody must see.
                _ if self.is_drained => {
                    let len = rest.len();
                    return Ok((len > 0).then_some(Item { len, what: What::Fault }));
                }
                _ => self.fill()?,
            }
        }
    }

    /// The item at the start of `bytes`, or nothing if there are too few to tell.
    fn next(bytes: &[u8]) -> Result<Item, ()> {
        if bytes.len() < METADATA_PRELUDE_BYTES {
            return Err(());
        }
        let fault = Ok(Item { len: bytes.len(), what: What::Fault });
        if bytes.starts_with(b"DBN") {
            let len = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
            if !VERSIONS.contains(&bytes[3]) || len > METADATA_BYTES_MAX {
                return fault;
            }
            return Ok(Item { len: METADATA_PRELUDE_BYTES + len, what: What::Metadata });
        }
        let len = usize::from(bytes[0]) * 4;
        if len < RECORD_BYTES_MIN {
            return fault;
        }
        let at = if bytes[1] == RTYPE_MBO && len >= MBO_BYTES { 40 } else { 8 };
        let Some(ts) = bytes.get(at..at + 8) else { return Err(()) };
        let ts_ns = u64::from_le_bytes(ts.try_into().expect("eight bytes"));
        Ok(Item { len, what: What::Record(ts_ns) })
    }

    fn fill(&mut self) -> Result<(), PieceError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let piece = self.pieces.read()?;
        self.is_drained = piece.is_empty();
        self.buffer.extend_from_slice(piece);
        Ok(())
    }
}
