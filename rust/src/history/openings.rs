//! What segments open with whose first marks are damaged, by what else is known of them.
//!
//! The records behind such a frame are good. Which session they are of is said again by the session's next segment, by the
//! checkpoints that were made of it, and in part by the index; where nothing says it, they go on with the session before,
//! in doubt.

use std::path::Path;

use super::{
    checkpoint_file::{self, CheckpointFile},
    error::HistoryError,
    index::{Entry, flags},
    log::Session,
    mark::Mark,
    segment::Segment,
};

/// Why something is missing where such a frame is.
pub(super) const DAMAGED: &str = "the marks that the segment begins with are damaged";
/// A source that nothing names.
const SOURCE_UNKNOWN: &str = "unknown (damaged)";

/// Gives those of these segments, which follow each other and the session before, marks in the place of damaged ones.
pub(super) fn stand_in(
    dir: &Path,
    before: Option<&Session>,
    loaded: &mut [(Segment, Vec<Entry>)],
) -> Result<(), HistoryError> {
    let mut last = before.map(|session| (session.ordinal, session.uri.clone()));
    let mut expected = before.map(|session| session.end_ordinal);
    for at in 0..loaded.len() {
        let (known, later) = loaded.split_at_mut(at + 1);
        let (segment, frames) = &mut known[at];
        if segment.opening_damage.is_some() {
            let end = frames.last().map_or(segment.first_ordinal, Entry::end_ordinal);
            let said = later.iter().find_map(|(segment, _)| segment.session());
            let indexed = frames.first().map_or(0, |entry| entry.flags);
            segment.opening = opening(dir, segment, end, said, last.as_ref(), indexed)?;
            if expected.is_some_and(|end| end != segment.first_ordinal) {
                push_hole(&mut segment.opening, expected.unwrap_or_default(), segment.first_ordinal);
            }
        }
        last = segment.session().map(|(ordinal, uri)| (ordinal, uri.into())).or(last);
        expected = frames.last().map(Entry::end_ordinal).or(expected);
    }
    Ok(())
}

fn opening(
    dir: &Path,
    segment: &Segment,
    end: u64,
    said: Option<(u64, &str)>,
    last: Option<&(u64, String)>,
    indexed: u32,
) -> Result<Vec<Mark>, HistoryError> {
    let first = segment.first_ordinal;
    let said = said.filter(|(ordinal, _)| *ordinal <= first);
    let uri_of = |ordinal: u64| {
        let names = said.into_iter().chain(last.map(|(ordinal, uri)| (*ordinal, uri.as_str())));
        names.filter(|name| name.0 == ordinal).map(|name| name.1.to_owned()).next()
    };
    let uri = |ordinal| uri_of(ordinal).unwrap_or_else(|| SOURCE_UNKNOWN.into());
    let ordinal = match said {
        Some((ordinal, _)) => Some(ordinal),
        None if indexed & flags::BEGINS != 0 || first == 0 => Some(first),
        None if indexed & flags::CONTINUES != 0 && last.is_some() => last.map(|last| last.0),
        None => checkpointed(dir, first, end)?,
    };
    if ordinal == Some(first) {
        return Ok(vec![Mark::Session { uri: uri(first) }]);
    }
    // Where something was missing there is a checkpoint with the books behind it; and a session may have begun that nothing
    // speaks of: then books are in doubt.
    let has_hole = ordinal.is_none() || checkpoint_file::path_of(dir, first).exists();
    // Of what went before nothing may be known at all: then a checkpoint behind it is the first that is.
    let ordinal = ordinal.or(last.map(|last| last.0)).unwrap_or(0);
    let mut marks = vec![Mark::Continues { ordinal, uri: uri(ordinal) }];
    if has_hole {
        push_hole(&mut marks, first, first);
    }
    Ok(marks)
}

/// One that is there already begins where this one says.
fn push_hole(marks: &mut Vec<Mark>, first: u64, end: u64) {
    marks.retain(|mark| !matches!(mark, Mark::Hole { .. }));
    marks.push(Mark::Hole { first, end, reason: DAMAGED.into() });
}

/// The session of the books of which a checkpoint was made behind the first of these records.
fn checkpointed(dir: &Path, first: u64, end: u64) -> Result<Option<u64>, HistoryError> {
    let within = checkpoint_file::list(dir)?.into_iter().filter(|(ordinal, _)| (first + 1..=end).contains(ordinal));
    Ok(within.filter_map(|(_, path)| Some(CheckpointFile::open(&path).ok()?.head().session)).next())
}
