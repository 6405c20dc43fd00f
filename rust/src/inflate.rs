//! zstd bytes, cut anywhere → plain bytes. Any number of frames, skippable ones among them.

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

pub(crate) struct Inflate {
    zstd: Decoder<'static>,
    out: Box<[u8]>,
    in_frame: bool,
    consumed: u64,
}

impl Inflate {
    pub(crate) fn new() -> Self {
        Self {
            zstd: Decoder::new().expect("zstd allocates a context of some 100 KiB"),
            out: vec![0; OUT_BYTES].into_boxed_slice(),
            in_frame: false,
            consumed: 0,
        }
    }

    /// Says that the stream is over.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.in_frame {
            return Err(DecodeError::compressed(self.consumed, "the stream ends here, inside a zstd frame"));
        }
        Ok(())
    }

    /// Whether a frame has begun and not ended.
    pub(crate) fn in_frame(&self) -> bool {
        self.in_frame
    }

    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut plain: impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut input = InBuffer::around(bytes);
        loop {
            let before = input.pos();
            let mut output = OutBuffer::around(&mut self.out[..]);
            let outcome = self.zstd.run(&mut input, &mut output);
            let written = output.pos();
            let is_out_full = written == output.capacity();
            self.consumed += (input.pos() - before) as u64;
            if written > 0 {
                plain(&self.out[..written])?;
            }
            let hint = outcome
                .map_err(|error| DecodeError::compressed(self.consumed, format!("invalid zstd data: {error}")))?;
            self.in_frame = hint != 0;
            // Asked again at the end of a frame, zstd would say how much it wants of the next.
            if input.pos() == bytes.len() && (!is_out_full || hint == 0) {
                return Ok(());
            }
        }
    }
}
