//! A market that is fed the bytes of a live stream: decoder, watch and books together.

use super::{Alert, Reason, Resumption, Watch};
use crate::{
    decode::{DecodeError, Decoder},
    event::Rules,
    market::{Key, Market},
};

/// A [`Market`] behind a [`Decoder`] and a [`Watch`].
pub struct WatchedFeed {
    /// The books.
    pub market: Market,
    /// What guards them.
    pub watch: Watch,
    decoder: Decoder,
}

impl WatchedFeed {
    /// A market without books at the start of a stream.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { market: Market::new(rules), watch: Watch::default(), decoder: Decoder::verifying() }
    }

    /// Applies what `bytes` completes and was not applied before; says how many MBO records that were.
    ///
    /// # Errors The first fault in the bytes; every record before it is applied. Only
    /// [`disconnected`](Self::disconnected) ends it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<u64, DecodeError> {
        let before = self.market.records_taken();
        self.decoder.push(bytes, &mut self.watch.over(&mut self.market))?;
        Ok(self.market.records_taken() - before)
    }

    /// The stream broke, wherever it was; see [`Watch::disconnected`].
    pub fn disconnected(&mut self) {
        self.decoder = Decoder::verifying();
        self.watch.disconnected(&mut self.market);
    }

    /// Where to resume; see [`Watch::resume_ts`].
    #[must_use]
    pub fn resume_ts(&self) -> Option<u64> {
        self.watch.resume_ts(&self.market)
    }

    /// The next bytes are those of a new connection.
    pub fn reconnected(&mut self, how: Resumption) {
        self.decoder = Decoder::verifying();
        self.watch.reconnected(&mut self.market, how);
    }

    /// Makes one book suspect, or all; says how many became so.
    pub fn doubt(&mut self, reason: &Reason, key: Option<Key>) -> usize {
        self.watch.doubt(&mut self.market, reason, key)
    }

    /// What happened since the last call.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        self.watch.take_alerts()
    }
}
