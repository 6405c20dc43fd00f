//! A DBN file as plain pieces. A compressed file is inflated on a thread of its own, so that decompression (most of
//! the work) overlaps with applying; a raw file is read in place, where a thread would only add a copy.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
};

use crate::{
    decode::{DETECT_BYTES, DecodeError, is_dbz},
    inflate::{Inflate, ZSTD_MAGIC, is_skippable_magic},
};

const READ_BYTES: usize = 256 * 1024;
/// Inflated pieces that wait for the reader at most.
const QUEUE_PIECES: usize = 8;

/// Why no further piece comes.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

type Reader = Box<dyn Read + Send>;

struct Inflated {
    bytes: Vec<u8>,
    /// Bytes of the file consumed when this piece was made.
    file_bytes: u64,
}

enum Kind {
    Direct { reader: Reader, buffer: Vec<u8> },
    Inflated { pieces: Receiver<Result<Inflated, PieceError>>, spent: Sender<Vec<u8>>, current: Vec<u8> },
}

/// Pieces of a file, in order. Whatever is not a zstd frame comes as it is, for the decoder to judge.
pub struct Pieces {
    kind: Kind,
    file_bytes: u64,
    size_bytes: u64,
    /// The thread has said its last, good or bad.
    is_over: bool,
}

impl Pieces {
    /// Opens a raw or compressed file.
    ///
    /// # Errors
    /// If it cannot be opened, is a directory, or is no regular file: a pipe could keep us waiting for ever.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Asked before it is opened: opening a pipe waits for its writer.
        let status = std::fs::metadata(path)?;
        if status.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !status.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut file = File::open(path)?;
        let mut head = Vec::new();
        file.by_ref().take(DETECT_BYTES as u64).read_to_end(&mut head)?;
        let is_zstd = head
            .first_chunk()
            .is_some_and(|magic| *magic == ZSTD_MAGIC || (is_skippable_magic(*magic) && !is_dbz(&head)));
        // Not chained behind the head: in pieces that begin where the file does, records lie aligned and are read in place.
        file.rewind()?;
        let reader: Reader = Box::new(file);
        let kind = if is_zstd { inflate_aside(reader) } else { Kind::Direct { reader, buffer: vec![0; READ_BYTES] } };
        Ok(Self { kind, file_bytes: 0, size_bytes: status.len(), is_over: false })
    }

    /// The next piece; empty at the end. It stays valid until the next call.
    ///
    /// # Errors
    /// If the file cannot be read or inflated. All good bytes have come before.
    pub fn read(&mut self) -> Result<&[u8], PieceError> {
        match &mut self.kind {
            Kind::Direct { reader, buffer } => {
                let read = read_some(reader, buffer)?;
                self.file_bytes += read as u64;
                Ok(&buffer[..read])
            }
            Kind::Inflated { .. } if self.is_over => Ok(&[]),
            Kind::Inflated { pieces, spent, current } => {
                // The thread may have ended; then nobody needs the buffer.
                let _ = spent.send(std::mem::take(current));
                let ended_early = || io::Error::other("the decompressing thread ended early");
                let piece = pieces.recv().map_err(|_| ended_early())?;
                self.is_over = piece.as_ref().map_or(true, |piece| piece.bytes.is_empty());
                let piece = piece?;
                self.file_bytes = piece.file_bytes;
                *current = piece.bytes;
                Ok(current)
            }
        }
    }

    /// Bytes of the file behind the pieces that have come so far.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

fn read_some(reader: &mut Reader, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn inflate_aside(mut reader: Reader) -> Kind {
    let (send, pieces) = sync_channel(QUEUE_PIECES);
    let (spent, reuse) = channel::<Vec<u8>>();
    thread::spawn(move || {
        let end = inflate_all(&mut reader, &send, &reuse);
        // Nobody may listen any more: then nobody misses the end either.
        let _ = send.send(end.map(|file_bytes| Inflated { bytes: Vec::new(), file_bytes }));
    });
    Kind::Inflated { pieces, spent, current: Vec::new() }
}

fn inflate_all(
    reader: &mut Reader,
    send: &SyncSender<Result<Inflated, PieceError>>,
    reuse: &Receiver<Vec<u8>>,
) -> Result<u64, PieceError> {
    let mut inflate = Inflate::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut file_bytes = 0;
    loop {
        let read = read_some(reader, &mut buffer)?;
        if read == 0 {
            inflate.finish()?;
            return Ok(file_bytes);
        }
        file_bytes += read as u64;
        inflate.push(&buffer[..read], |plain| {
            let mut bytes = reuse.try_recv().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(plain);
            let abandoned = |_| DecodeError::new(0, "nobody reads on");
            send.send(Ok(Inflated { bytes, file_bytes })).map_err(abandoned)
        })?;
    }
}
