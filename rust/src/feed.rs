//! A market that is fed bytes: decoder and books together.

use crate::{
    decode::{DecodeError, Decoder},
    event::Rules,
    market::Market,
};

/// A [`Market`] behind a [`Decoder`].
pub struct Feed {
    /// The books.
    pub market: Market,
    decoder: Decoder,
}

impl Feed {
    /// A market without books at the start of a stream.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self::resume(Market::new(rules))
    }

    /// A market with books at the start of a further stream.
    #[must_use]
    pub fn resume(market: Market) -> Self {
        Self { market, decoder: Decoder::new() }
    }

    /// Applies what `bytes` completes; says how many MBO records that were.
    ///
    /// # Errors
    /// The first fault in the bytes; every record before it is applied.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<u64, DecodeError> {
        let before = self.market.records_taken();
        self.decoder.push(bytes, &mut self.market)?;
        Ok(self.market.records_taken() - before)
    }

    /// Says that the stream is over. The next bytes fed begin another.
    ///
    /// # Errors
    /// If the stream was not whole.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        std::mem::take(&mut self.decoder).finish()
    }

    /// Whether all bytes fed so far have been applied: none waits for the rest of its record or frame.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.decoder.at_boundary()
    }
}
