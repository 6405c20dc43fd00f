//! Where an indexer begins.

use crate::history::{Cursor, HistoryError, Item, Log, Mark, Session, Shadow, checkpoint_file};

/// The market right after the record before an ordinal, and before any mark that stands there; and the log from there
/// on. Where retention has removed that, the first that can be had.
pub(super) fn at(log: &Log, ordinal: u64) -> Result<(Shadow, Cursor), HistoryError> {
    let start = ordinal.max(log.first_ordinal());
    if start > log.end_ordinal() {
        let what = format!("ordinal {ordinal}, but the log ends at {}: is this another history's?", log.end_ordinal());
        return Err(HistoryError::Refused { dir: log.dir().into(), what });
    }
    let mut shadow = match Shadow::before(log, start, true) {
        Err(HistoryError::NotRecorded { .. }) => behind_lost(log, start)?,
        shadow => shadow?,
    };
    let mut cursor = log.cursor(shadow.head().ordinal);
    while shadow.head().ordinal < start {
        match cursor.next_or_hole(log)? {
            None => break,
            Some(Item::Missing { first, end }) if end >= start => {
                cursor.give_back_missing(first);
                break;
            }
            // What comes next lies behind the ordinal: it is still to be told.
            Some(item) if is_behind(&item, start, shadow.head().session) => return Ok((shadow, log.cursor(start))),
            Some(Item::Records { first_ordinal, records }) => {
                let due = start.saturating_sub(first_ordinal).min(records.len() as u64) as usize;
                shadow.records(first_ordinal, &records[..due]);
                let left = records.len() - due;
                cursor.give_back(left);
                if due == 0 {
                    // It lies in a hole.
                    break;
                }
            }
            Some(item) => shadow.apply(&item),
        }
    }
    Ok((shadow, cursor))
}

/// Whether something leads beyond an ordinal, or to another session than this one.
fn is_behind(item: &Item<'_>, ordinal: u64, session: u64) -> bool {
    match item {
        Item::Session { ordinal, .. } | Item::Mark(Mark::Continues { ordinal, .. }) => *ordinal > session,
        Item::Mark(Mark::Hole { end, .. }) => *end >= ordinal,
        _ => false,
    }
}

/// Where the beginning of an ordinal's session is gone, and no checkpoint says what its books were. What retention leaves has
/// one, and all that is older was told. Of anything else what is there is told, in doubt.
fn behind_lost(log: &Log, ordinal: u64) -> Result<Shadow, HistoryError> {
    let sessions = log.sessions();
    let session = sessions.iter().rfind(|session| session.ordinal <= ordinal).expect("one whose beginning is gone");
    if session.first_ordinal == log.first_ordinal()
        && let Some(shadow) = first_after(log, ordinal, &sessions)?
    {
        return Ok(shadow);
    }
    Ok(Shadow::in_doubt(log, session))
}

/// From the first checkpoint after an ordinal, or the session that begins next: no further, or nobody would be told of that.
fn first_after(log: &Log, ordinal: u64, sessions: &[Session]) -> Result<Option<Shadow>, HistoryError> {
    let next = sessions.iter().map(|session| session.ordinal).find(|at| *at > ordinal);
    let last = next.unwrap_or_else(|| log.end_ordinal());
    let checkpoints = checkpoint_file::list(log.dir())?.into_iter().map(|(at, _)| at);
    let mut later: Vec<u64> = checkpoints.chain(next).filter(|at| *at > ordinal && *at <= last).collect();
    later.sort_unstable();
    Ok(later.into_iter().find_map(|at| Shadow::before(log, at, true).ok()))
}
