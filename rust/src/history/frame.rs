//! One frame: whole records, and as a zstd frame of its own.

use std::io;

use dbn::{SymbolMappingMsg, rtype};
use twox_hash::XxHash3_64;
use zstd::bulk::{Compressor, Decompressor};

use super::{
    index::{Entry, Span, flags},
    mark::{MARK_BYTES, Mark},
};
use crate::record::{MBO_BYTES, MboMsg, read_mbo};

/// Plain bytes of a frame of records at most: one that claims more is damaged.
pub(crate) const PLAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a symbol mapping as the log has it.
pub(crate) const MAPPING_BYTES: usize = size_of::<SymbolMappingMsg>();

/// The whole records of one frame, aligned as records are.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    words: Vec<u64>,
    len: usize,
}

impl std::ops::Deref for Plain {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the words are initialised memory of at least `len` bytes, and bytes have no alignment.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len) }
    }
}

impl Plain {
    /// A copy of whole records.
    pub(super) fn of(records: &[u8]) -> Self {
        let mut plain = Self::default();
        plain.room(records.len()).copy_from_slice(records);
        plain
    }

    /// Whole MBO records, all of its bytes.
    pub(super) fn records_mut(&mut self) -> &mut [MboMsg] {
        let count = self.len / MBO_BYTES;
        // SAFETY: the words are initialised and aligned as records are, which any bytes are valid for; the borrow is
        // exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), count) }
    }

    /// Forgets what lies behind so many records.
    pub(super) fn truncate(&mut self, records: usize) {
        self.len = self.len.min(records * MBO_BYTES);
    }

    /// Room for so many bytes, to be written to.
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.words.len() < len.div_ceil(8) {
            self.words.resize(len.div_ceil(8), 0);
        }
        self.len = len;
        // SAFETY: as in `deref`; the borrow is exclusive, and any bytes are valid words.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), len) }
    }
}

/// Bytes of the item that these begin with, if it is one that the log has.
fn item_bytes(bytes: &[u8]) -> Result<usize, String> {
    let expected = match bytes {
        [_, rtype::MBO, ..] => MBO_BYTES,
        [_, rtype::SYSTEM, ..] => MARK_BYTES,
        [_, rtype::SYMBOL_MAPPING, ..] => MAPPING_BYTES,
        [_, other, ..] => {
            return Err(format!("a record of type 0x{other:02X}, expected MBO, symbol mappings and marks"));
        }
        _ => return Err("a single byte, expected a record".into()),
    };
    let len = usize::from(bytes[0]) * 4;
    if len != expected || bytes.len() < expected {
        return Err(format!("a record of {} bytes, expected {expected}", len.min(bytes.len())));
    }
    Ok(expected)
}

/// What whole records begin with.
pub(crate) enum Run<'a> {
    /// As many MBO records as follow each other.
    Records(&'a [u8]),
    Mapping(&'a [u8]),
    System(&'a [u8]),
}

impl<'a> Run<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, String> {
        let len = item_bytes(bytes)?;
        Ok(match bytes[1] {
            rtype::MBO => {
                let header = [bytes[0], rtype::MBO];
                let count = bytes.chunks_exact(MBO_BYTES).take_while(|record| record[..2] == header).count();
                Run::Records(&bytes[..count * MBO_BYTES])
            }
            rtype::SYMBOL_MAPPING => Run::Mapping(&bytes[..len]),
            _ => Run::System(&bytes[..len]),
        })
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        let (Run::Records(bytes) | Run::Mapping(bytes) | Run::System(bytes)) = self;
        bytes
    }
}

/// The records of a run, where they lie.
pub(crate) fn records_of(run: &[u8]) -> &[MboMsg] {
    crate::record::mbo_records(run, MBO_BYTES, &mut [])
}

/// What the index says of whole records but for where their frame lies.
pub(crate) fn describe(plain: &[u8], first_ordinal: u64) -> Result<Entry, String> {
    let mut entry = Entry { first_ordinal, plain_bytes: plain.len() as u32, ..Entry::default() };
    let mut at = 0;
    while at < plain.len() {
        let run = Run::of(&plain[at..]).map_err(|what| format!("plain byte {at}: {what}"))?;
        at += run.bytes().len();
        let is_records = matches!(run, Run::Records(_));
        entry.flags = if is_records { entry.flags & !flags::TRAILING } else { entry.flags | flags::TRAILING };
        match run {
            Run::Records(records) => {
                entry.records += (records.len() / MBO_BYTES) as u32;
                for record in records.chunks_exact(MBO_BYTES).map(read_mbo) {
                    entry.ts_event.add(record.hd.ts_event);
                    entry.ts_recv.add(record.ts_recv);
                }
            }
            Run::Mapping(_) => entry.flags |= flags::MAPPING,
            Run::System(record) => match Mark::of(record) {
                Some(Mark::Session { .. }) => entry.flags |= flags::SESSION | flags::BEGINS,
                Some(Mark::Continues { .. }) => entry.flags |= flags::SESSION | flags::CONTINUES,
                Some(Mark::Hole { .. }) => entry.flags |= flags::HOLE,
                _ => {}
            },
        }
    }
    Ok(entry)
}

/// Makes frames.
pub(crate) struct Packer {
    zstd: Compressor<'static>,
    out: Vec<u8>,
}

impl Packer {
    pub(crate) fn new(level: i32) -> Self {
        let mut zstd = Compressor::new(level).expect("zstd allocates a context");
        zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).expect("zstd knows checksums");
        Self { zstd, out: Vec::new() }
    }

    /// The frame of these bytes; fills in what the entry says of it but for where it lies.
    pub(crate) fn pack(&mut self, plain: &[u8], entry: &mut Entry) -> &[u8] {
        self.out.clear();
        self.out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        self.zstd.compress_to_buffer(plain, &mut self.out).expect("zstd has room for the worst case");
        entry.frame_bytes = self.out.len() as u32;
        entry.plain_bytes = plain.len() as u32;
        entry.xxh3 = XxHash3_64::oneshot(&self.out);
        &self.out
    }
}

/// Unpacks frames.
#[derive(Default)]
pub(crate) struct Unpacker {
    zstd: Decompressor<'static>,
    /// A frame as it lies in its file.
    packed: Vec<u8>,
}

impl Unpacker {
    /// Unpacks a frame whose plain length is known or bounded into `plain`; the checksum inside it is verified.
    pub(crate) fn unpack(&mut self, frame: &[u8], plain_bytes: usize, plain: &mut Plain) -> Result<(), String> {
        unpack(&mut self.zstd, frame, plain_bytes, plain)
    }

    /// Unpacks the frame that an entry describes, and that `read` fills in.
    pub(crate) fn unpack_entry<E>(
        &mut self,
        entry: &Entry,
        plain: &mut Plain,
        read: impl FnOnce(&mut [u8]) -> Result<(), E>,
        damaged: impl Fn(String) -> E,
    ) -> Result<(), E> {
        self.check_entry(entry, read, &damaged)?;
        unpack(&mut self.zstd, &self.packed, entry.plain_bytes as usize, plain).map_err(damaged)
    }

    /// Reads such a frame, and holds it against the entry's checksum alone.
    pub(crate) fn check_entry<E>(
        &mut self,
        entry: &Entry,
        read: impl FnOnce(&mut [u8]) -> Result<(), E>,
        damaged: impl FnOnce(String) -> E,
    ) -> Result<(), E> {
        self.packed.resize(entry.frame_bytes as usize, 0);
        read(&mut self.packed)?;
        let xxh3 = XxHash3_64::oneshot(&self.packed);
        if xxh3 != entry.xxh3 {
            return Err(damaged(format!("the frame's XXH3 is {xxh3:016x}, the index says {:016x}", entry.xxh3)));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

fn unpack(zstd: &mut Decompressor<'static>, frame: &[u8], plain_bytes: usize, plain: &mut Plain) -> Result<(), String> {
    let room = plain.room(plain_bytes);
    let unpacked =
        zstd.decompress_to_buffer(frame, room).map_err(|error: io::Error| format!("invalid zstd data: {error}"))?;
    if unpacked != plain_bytes {
        return Err(format!("{unpacked} plain bytes, expected {plain_bytes}"));
    }
    Ok(())
}

/// How long the whole frame is that these bytes begin with, and its plain content; an error if there is no such frame.
pub(crate) fn measure(bytes: &[u8]) -> Result<(usize, usize), String> {
    if !bytes.starts_with(&crate::inflate::ZSTD_MAGIC) {
        return Err("no zstd frame begins here".into());
    }
    let len = zstd::zstd_safe::find_frame_compressed_size(bytes)
        .map_err(|code| format!("no whole zstd frame: {}", zstd::zstd_safe::get_error_name(code)))?;
    match zstd::zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(plain)) => Ok((len, usize::try_from(plain).unwrap_or(usize::MAX))),
        _ => Err("a zstd frame without its content's size".into()),
    }
}

impl Span {
    #[inline(always)]
    fn add(&mut self, ts: u64) {
        self.min = self.min.min(ts);
        self.max = self.max.max(ts);
    }
}
