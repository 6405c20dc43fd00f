//! The life of one order.

use std::{fs::File, ops::Range};

use super::{group::Group, path_of};
use crate::{
    history::{
        Log, Segment,
        error::HistoryError,
        frame::{Plain, Run, records_of},
        frame_reader::FrameReader,
    },
    market::Key,
    record::MboMsg,
};

/// The last records of an order, in the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Their ordinals.
    pub ordinals: Vec<u64>,
    /// The records.
    pub records: Vec<MboMsg>,
    /// Whether there are earlier ones.
    pub is_cut: bool,
    /// Pages of filters that were read.
    pub pages_read: u64,
    /// Frames that were read.
    pub frames_read: u64,
}

/// Finds the last `limit` records of an order: of two sessions that know its id, those of the newer one first. What no
/// filter covers is read, the youngest of the log always.
///
/// # Errors
/// If the log cannot be read, or a frame that may hold the order is damaged.
pub fn life(log: &Log, key: Key, order_id: u64, limit: usize) -> Result<Life, HistoryError> {
    let mut search = Search {
        log,
        key,
        order_id,
        limit,
        reader: FrameReader::default(),
        frame: None,
        plain: Plain::default(),
        life: Life::default(),
    };
    for at in (0..log.segments().len()).rev() {
        if search.life.is_cut {
            break;
        }
        search.segment(at)?;
    }
    let mut life = search.life;
    life.ordinals.reverse();
    life.records.reverse();
    Ok(life)
}

/// Goes over the log backwards.
struct Search<'a> {
    log: &'a Log,
    key: Key,
    order_id: u64,
    limit: usize,
    reader: FrameReader,
    /// The frame that was read last.
    frame: Option<usize>,
    plain: Plain,
    life: Life,
}

impl Search<'_> {
    fn segment(&mut self, at: usize) -> Result<(), HistoryError> {
        let log = self.log;
        let segment = &log.segments()[at];
        let Some(last) = log.frames_of(at).next_back() else { return Ok(()) };
        let end = log.frames()[last].entry.end_ordinal();
        for stretch in self.stretches(segment, end).into_iter().rev() {
            self.read(stretch)?;
        }
        Ok(())
    }

    /// Where in a segment the order can be, in its order.
    fn stretches(&mut self, segment: &Segment, end: u64) -> Vec<Range<u64>> {
        let path = path_of(segment);
        let (mut covered, mut offset, mut stretches) = (segment.first_ordinal, 0, Vec::new());
        let mut is_damaged = false;
        if let Ok(file) = File::open(&path) {
            // A file that cannot be read covers nothing.
            while let Ok(Some(group)) = Group::read(&file, offset)
                && group.first_ordinal == covered
                && let Ok(answer) = group.ask(&file, self.key, self.order_id)
            {
                self.life.pages_read += 2;
                is_damaged |= answer.is_damaged;
                stretches.extend(answer.stretches);
                (covered, offset) = (group.end_ordinal(), group.end_offset());
            }
        }
        if is_damaged {
            // An indexer makes it anew. If it cannot be removed, answers stay as right and as slow as this one.
            let _ = std::fs::remove_file(&path);
        }
        stretches.push(covered..end);
        stretches
    }

    fn read(&mut self, stretch: Range<u64>) -> Result<(), HistoryError> {
        let frames = self.log.frames();
        let first = self.log.find_ordinal(stretch.start);
        let end = frames.partition_point(|frame| frame.entry.first_ordinal < stretch.end);
        for at in (first..end).rev() {
            if self.life.is_cut {
                break;
            }
            if self.frame != Some(at) {
                self.frame = None;
                self.reader.read(self.log, at, &mut self.plain)?;
                self.frame = Some(at);
                self.life.frames_read += 1;
            }
            self.look_through(frames[at].entry.first_ordinal, &stretch);
        }
        Ok(())
    }

    fn look_through(&mut self, mut ordinal: u64, stretch: &Range<u64>) {
        let (mut rest, mut found) = (&self.plain[..], Vec::new());
        // Frames are checked when they are read.
        while let Ok(run) = Run::of(rest) {
            if let Run::Records(bytes) = run {
                for record in records_of(bytes) {
                    let is_wanted = (record.order_id == self.order_id) & (Key::of(record) == self.key);
                    if is_wanted && stretch.contains(&ordinal) {
                        found.push((ordinal, *record));
                    }
                    ordinal += 1;
                }
            }
            rest = &rest[run.bytes().len()..];
        }
        let room = self.limit - self.life.records.len();
        self.life.is_cut = found.len() > room;
        for (ordinal, record) in found.into_iter().rev().take(room) {
            self.life.ordinals.push(ordinal);
            self.life.records.push(record);
        }
    }
}
