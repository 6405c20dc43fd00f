//! The frames of a log, as a list that costs little to copy: copies share what does not change any more.

use std::{
    ops::{Index, Range},
    sync::Arc,
};

use super::{
    index::{Entry, Span},
    log::Clock,
};

/// Frames that are shared, or copied when one is added, together.
const CHUNK_FRAMES: usize = 1024;

/// A frame of records.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Position of its segment in [`Log::segments`](super::Log::segments).
    pub segment: usize,
    /// What the index says of it.
    pub entry: Entry,
}

impl Frame {
    fn span(&self, clock: Clock) -> Span {
        match clock {
            Clock::Event => self.entry.ts_event,
            Clock::Receive => self.entry.ts_recv,
        }
    }
}

/// Frames that follow each other, and the times of all their records.
#[derive(Clone, Debug, Default)]
struct Chunk {
    frames: Vec<Frame>,
    spans: [Span; 2],
}

/// Frames by ordinal. There are millions of them after weeks, and every question about the past has a list of its own:
/// so only what is behind the last whole chunk is ever copied, and times are looked for chunk by chunk.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// All but the last are full.
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl Frames {
    pub(super) fn push(&mut self, frame: Frame) {
        if self.len == self.chunks.len() * CHUNK_FRAMES {
            self.chunks.push(Arc::default());
        }
        let chunk = Arc::make_mut(self.chunks.last_mut().expect("just made"));
        for clock in [Clock::Event, Clock::Receive] {
            let span = &mut chunk.spans[clock as usize];
            *span = span.union(frame.span(clock));
        }
        chunk.frames.push(frame);
        self.len += 1;
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frame at a position.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Frame> {
        self.chunks.get(at / CHUNK_FRAMES)?.frames.get(at % CHUNK_FRAMES)
    }

    /// The first one.
    #[must_use]
    pub fn first(&self) -> Option<&Frame> {
        self.get(0)
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&Frame> {
        self.chunks.last()?.frames.last()
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Frame> {
        self.range(0..self.len)
    }

    /// Those at these positions.
    pub fn range(&self, positions: Range<usize>) -> impl DoubleEndedIterator<Item = &Frame> + ExactSizeIterator {
        positions.map(|at| &self[at])
    }

    /// Of a list that begins with all frames of which something is true: where the others begin.
    #[must_use]
    pub fn partition_point(&self, mut is_before: impl FnMut(&Frame) -> bool) -> usize {
        let full = self.chunks.partition_point(|chunk| chunk.frames.last().is_some_and(&mut is_before));
        let within = self.chunks.get(full).map_or(0, |chunk| chunk.frames.partition_point(is_before));
        (full * CHUNK_FRAMES + within).min(self.len)
    }

    /// The first position among these with a record that is later than a time (ns); the end if there is none.
    #[must_use]
    pub fn first_later(&self, positions: Range<usize>, clock: Clock, ts: u64) -> usize {
        let end = positions.end;
        let has_later = |span: Span| span.max > ts;
        self.parts(positions)
            .filter(|(chunk, _)| has_later(self.chunks[*chunk].spans[clock as usize]))
            .find_map(|(_, mut part)| part.find(|at| has_later(self[*at].span(clock))))
            .unwrap_or(end)
    }

    /// The position behind the last one of these with a record that is not later than a time (ns); the start if there
    /// is none.
    #[must_use]
    pub fn behind_last_due(&self, positions: Range<usize>, clock: Clock, ts: u64) -> usize {
        let start = positions.start;
        let has_due = |span: Span| span.min <= ts;
        self.parts(positions)
            .rev()
            .filter(|(chunk, _)| has_due(self.chunks[*chunk].spans[clock as usize]))
            .find_map(|(_, mut part)| part.rfind(|at| has_due(self[*at].span(clock))))
            .map_or(start, |last| last + 1)
    }

    /// The times of all records of the frames at these positions: ts_event and ts_recv.
    #[must_use]
    pub fn spans(&self, positions: Range<usize>) -> [Span; 2] {
        let spans = |at: usize| [Clock::Event, Clock::Receive].map(|clock| self[at].span(clock));
        let union = |a: [Span; 2], b: [Span; 2]| [a[0].union(b[0]), a[1].union(b[1])];
        self.parts(positions).fold(Default::default(), |all, (chunk, part)| match part.len() {
            CHUNK_FRAMES => union(all, self.chunks[chunk].spans),
            _ => part.map(spans).fold(all, union),
        })
    }

    /// Chunks, and which of these positions are in each.
    fn parts(&self, positions: Range<usize>) -> impl DoubleEndedIterator<Item = (usize, Range<usize>)> {
        let Range { start, end } = positions;
        (start / CHUNK_FRAMES..end.div_ceil(CHUNK_FRAMES)).map(move |chunk| {
            let first = chunk * CHUNK_FRAMES;
            (chunk, first.max(start)..(first + CHUNK_FRAMES).min(end))
        })
    }
}

impl Index<usize> for Frames {
    type Output = Frame;

    fn index(&self, at: usize) -> &Frame {
        &self.chunks[at / CHUNK_FRAMES].frames[at % CHUNK_FRAMES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times that go forth and back, and here and there a frame without any.
    fn frames(len: usize) -> Frames {
        let mut frames = Frames::default();
        for at in 0..len {
            let records = u32::from(at % 7 != 3);
            let ts = (at * 10 + at * 7919 % 500) as u64;
            let span = if records > 0 { Span { min: ts, max: ts + 30 } } else { Span::default() };
            let entry = Entry { first_ordinal: at as u64, records, ts_event: span, ts_recv: span, ..Entry::default() };
            frames.push(Frame { segment: at / 1_500, entry });
        }
        frames
    }

    #[test]
    fn what_is_looked_for_by_chunks_is_what_is_found_one_by_one() {
        for len in [0, 1, CHUNK_FRAMES - 1, CHUNK_FRAMES, CHUNK_FRAMES + 1, 3 * CHUNK_FRAMES + 5] {
            let frames = frames(len);
            assert_eq!((frames.len(), frames.iter().count()), (len, len));
            for segment in 0..4 {
                let expected = frames.iter().take_while(|frame| frame.segment < segment).count();
                assert_eq!(frames.partition_point(|frame| frame.segment < segment), expected);
            }
            for positions in [0..len, len / 3..len, 0..len / 2, len / 2..len / 2, len.min(5)..len.min(2_000)] {
                let all = frames.range(positions.clone()).fold(Span::default(), |all, f| all.union(f.entry.ts_recv));
                assert_eq!(frames.spans(positions.clone()), [all, all]);
                for ts in (0..40_000).step_by(997) {
                    let mut range = positions.clone();
                    let later = range.find(|at| frames[*at].entry.ts_event.max > ts).unwrap_or(positions.end);
                    assert_eq!(frames.first_later(positions.clone(), Clock::Event, ts), later);
                    let mut range = positions.clone();
                    let due =
                        range.rfind(|at| frames[*at].entry.ts_event.min <= ts).map_or(positions.start, |at| at + 1);
                    assert_eq!(frames.behind_last_due(positions.clone(), Clock::Event, ts), due);
                }
            }
        }
    }

    #[test]
    fn a_copy_shares_all_but_the_last_chunk_and_does_not_see_what_is_added() {
        let before = frames(2 * CHUNK_FRAMES + 1);
        let mut after = before.clone();
        after.push(before[0]);
        assert_eq!((before.len(), after.len()), (2 * CHUNK_FRAMES + 1, 2 * CHUNK_FRAMES + 2));
        assert!(before.get(before.len()).is_none() && after.get(before.len()).is_some());
        assert!((0..2).all(|chunk| Arc::ptr_eq(&before.chunks[chunk], &after.chunks[chunk])));
    }
}
