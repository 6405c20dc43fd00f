//! zstd bytes, cut anywhere → plain bytes. Any number of frames, skippable ones among them.
//!
//! zstd gives up all that a call has made when it meets damage in that call. So it is given what it asks for, whole block
//! by whole block, and each block's header apart: then the bytes before the damage are handed on, however the input was cut.
//!
//! Of a live stream they are not: a flipped bit makes other bytes of the same length, and only the checksum at the end of
//! the frame can tell. [`Inflate::verifying`] hands on what a checksum has vouched for.

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::decode::DecodeError;

/// First bytes of a zstd frame.
pub(crate) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Plain bytes handed on at once: small enough to stay in the second-level cache until they are applied.
const OUT_BYTES: usize = 256 * 1024;

/// Whether a frame with this magic number carries data that is no content.
pub(crate) fn is_skippable_magic(magic: [u8; 4]) -> bool {
    (0x50..=0x5F).contains(&magic[0]) && magic[1..] == [0x2A, 0x4D, 0x18]
}

/// Plain bytes of one frame that wait for its checksum. What is longer is handed on without.
const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Content_Checksum_flag in the byte after the magic number (RFC 8878, 3.1.1.1.1).
const CHECKSUM_FLAG: u8 = 0b100;

pub(crate) struct Inflate {
    zstd: Decoder<'static>,
    out: Box<[u8]>,
    in_frame: bool,
    /// How many bytes zstd takes until it has something to hand out or to judge.
    wanted: usize,
    consumed: u64,
    /// Where the block or header begins that is being read.
    judged: u64,
    verifies: bool,
    /// The first bytes of the frame.
    start: Vec<u8>,
    held: Vec<u8>,
    /// The beginning of a block whose end has not come. zstd would hand out a stored block in the pieces that it gets, and
    /// only behind them find that it does not fit into its frame.
    block: Vec<u8>,
}

/// With fewer zstd cannot tell what kind of frame begins.
const FRAME_START_BYTES: usize = 5;
const BLOCK_HEADER_BYTES: usize = 3;
/// Block_Maximum_Size (RFC 8878, 3.1.1.2.4). zstd asks for more only to pass over a skippable frame.
const BLOCK_BYTES_MAX: usize = 128 * 1024;

impl Inflate {
    pub(crate) fn new() -> Self {
        Self {
            zstd: Decoder::new().expect("zstd allocates a context of some 100 KiB"),
            out: vec![0; OUT_BYTES].into_boxed_slice(),
            in_frame: false,
            wanted: FRAME_START_BYTES,
            consumed: 0,
            judged: 0,
            verifies: false,
            start: Vec::with_capacity(FRAME_START_BYTES),
            held: Vec::new(),
            block: Vec::new(),
        }
    }

    /// One that hands on nothing of a frame with a checksum before that was found right.
    pub(crate) fn verifying() -> Self {
        Self { verifies: true, ..Self::new() }
    }

    /// Says that the stream is over.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.in_frame {
            let end = self.consumed + self.block.len() as u64;
            return Err(DecodeError::compressed(end, "the stream ends here, inside a zstd frame"));
        }
        Ok(())
    }

    /// Whether a frame has begun and not ended.
    pub(crate) fn in_frame(&self) -> bool {
        self.in_frame
    }

    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        mut plain: impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        while !bytes.is_empty() {
            let missing = self.wanted - self.block.len();
            let (piece, rest) = bytes.split_at(missing.min(bytes.len()));
            bytes = rest;
            if piece.len() < missing && self.in_frame && self.wanted <= BLOCK_BYTES_MAX {
                self.block.extend_from_slice(piece);
            } else if self.block.is_empty() {
                self.run(piece, &mut plain)?;
            } else {
                let mut block = std::mem::take(&mut self.block);
                block.extend_from_slice(piece);
                self.run(&block, &mut plain)?;
                block.clear();
                self.block = block;
            }
        }
        Ok(())
    }

    /// `bytes`: what zstd wants, or a beginning of that.
    fn run(
        &mut self,
        bytes: &[u8],
        plain: &mut impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut input = InBuffer::around(bytes);
        let mut output = OutBuffer::around(&mut self.out[..]);
        let outcome = self.zstd.run(&mut input, &mut output);
        let written = output.pos();
        debug_assert!(outcome.is_err() || input.pos() == bytes.len(), "a block's content fits into `out`");
        if self.verifies {
            let missing = FRAME_START_BYTES - self.start.len();
            self.start.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        }
        self.consumed += input.pos() as u64;
        let waits = self.verifies
            && self.start.last().is_some_and(|flags| flags & CHECKSUM_FLAG != 0)
            && self.held.len() + written <= HELD_BYTES_MAX;
        if waits {
            self.held.extend_from_slice(&self.out[..written]);
        } else if written > 0 {
            hand_on(&mut self.held, plain)?;
            plain(&self.out[..written])?;
        }
        let hint =
            outcome.map_err(|error| DecodeError::compressed(self.judged, format!("invalid zstd data: {error}")))?;
        if hint == 0 {
            self.start.clear();
            hand_on(&mut self.held, plain)?;
        }
        if bytes.len() == self.wanted {
            self.judged = self.consumed;
        }
        self.in_frame = hint != 0;
        // What it asks for ends with the header of the block after.
        self.wanted = match hint {
            0 => FRAME_START_BYTES,
            1..=BLOCK_HEADER_BYTES => hint,
            _ => hint - BLOCK_HEADER_BYTES,
        };
        Ok(())
    }
}

/// What one frame has left is not kept for the next if it was large.
fn hand_on(held: &mut Vec<u8>, plain: &mut impl FnMut(&[u8]) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
    if held.is_empty() {
        return Ok(());
    }
    let result = plain(held);
    held.clear();
    held.shrink_to(OUT_BYTES);
    result
}
