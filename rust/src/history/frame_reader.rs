//! Reads frames of a log one after the other.

use std::{fs::File, sync::Arc};

use super::{
    error::HistoryError,
    frame::{Plain, Unpacker},
    log::Log,
    segment::Segment,
};

/// Keeps the file open and its memory at hand: a live log has frames by the thousand that take less time to unpack than a
/// file to open.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    file: Option<(Arc<Segment>, File)>,
    unpacker: Unpacker,
}

impl FrameReader {
    /// The plain bytes of the frame at a position.
    pub(crate) fn read(&mut self, log: &Log, at: usize, plain: &mut Plain) -> Result<(), HistoryError> {
        let frame = &log.frames()[at];
        let segment = &log.segments()[frame.segment];
        let (_, file) = match self.file.take().filter(|(opened, _)| Arc::ptr_eq(opened, segment)) {
            Some(opened) => self.file.insert(opened),
            None => self.file.insert((segment.clone(), segment.open()?)),
        };
        segment.read(file, &frame.entry, &mut self.unpacker, plain)
    }
}
