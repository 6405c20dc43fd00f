//! How a market tells a recorder what it applies: records, mappings and marks, at the moment they are applied.
//!
//! The market's thread copies bytes into a bounded queue and never waits for a disk. When the queue is full, what comes
//! is lost and counted, whole stretches at a time; once there is room again, a checkpoint of the market stands in for
//! it, and the log says which ordinals are missing.

use std::sync::Arc;

use dbn::Metadata;

use crate::{
    history::{Mark, Queue, checkpoint_file},
    market::Market,
    record::MboMsg,
    symbols::Symbols,
};

/// What a market is given to tell a recorder.
pub struct Journal {
    queue: Arc<Queue>,
}

impl Journal {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// These records are about to be applied.
    pub(crate) fn records(&mut self, market: &Market, records: &[MboMsg], stride: usize) {
        if !self.queue.records(records, stride) {
            // There is room again after a hole, and the market is as it was before these records.
            let head = self.queue.checkpoint_head(market);
            let bytes = checkpoint_file::encode(&head, market, None);
            self.queue.end_hole(market.symbols.clone(), bytes);
            self.queue.records(records, stride);
        }
    }

    /// Books have moved without a record; `ts_event` is that of the book's last event, ns.
    pub(crate) fn mark(&mut self, mark: &Mark, ts_event: u64) {
        self.queue.mark(mark, ts_event);
    }

    /// A live stream's mapping, of either length that DBN has known.
    pub(crate) fn mapping(&mut self, record: &[u8]) {
        self.queue.mapping(record);
    }

    /// A stream begins; `symbols` are all that are known with its own.
    pub(crate) fn metadata(&mut self, metadata: &Metadata, symbols: &Symbols) {
        self.queue.metadata(metadata, symbols);
    }
}
