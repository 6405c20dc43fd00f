//! What moves books without a record: a DBN system message in the log, at its place.
//!
//! Text after `l3book: `, with the book in the header's ids (0:0: all books):
//!
//! ```text
//! doubt REASON               the book is suspect
//! pause                      the book is suspect because the stream broke
//! trust                      a pause is over
//! await                      every book waits for its snapshot
//! drop T,F,N,U               its unfinished event is forgotten; so many of its records by action were never held back
//! session URI                all books are dropped, a new session begins
//! continues ORDINAL URI      the session that began at this ordinal goes on in a new segment
//! hole FIRST END REASON      ordinals FIRST to END - 1 are not in the log; a checkpoint at END holds the state
//!                            (if the two are the same, only marks are missing)
//! ```

use std::mem::offset_of;

use dbn::{SystemMsg, rtype};

use crate::{
    market::{Key, Market},
    record::Action,
};

/// Bytes of a mark in the stream.
pub const MARK_BYTES: usize = size_of::<SystemMsg>();

const PREFIX: &str = "l3book: ";
/// What says that a system message is of no kind that Databento's gateways send.
const CODE_UNSET: u8 = u8::MAX;
const TEXT_AT: usize = offset_of!(SystemMsg, msg);
const CODE_AT: usize = offset_of!(SystemMsg, code);
/// The text ends with a NUL.
const TEXT_BYTES_MAX: usize = CODE_AT - TEXT_AT - 1;
/// Of a URI, so that it fits into every kind of mark.
const URI_BYTES_MAX: usize = 256;

/// Something that moved books without a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The book became suspect.
    Doubt {
        /// Which.
        key: Key,
        /// Why; for a reader.
        reason: String,
    },
    /// The book became suspect because its stream broke.
    Pause {
        /// Which.
        key: Key,
    },
    /// Every book waits for its snapshot; what was paused is in doubt.
    Await,
    /// The pause of this book is over.
    Trust {
        /// Which.
        key: Key,
    },
    /// The unfinished event of this book is forgotten.
    Drop {
        /// Which.
        key: Key,
        /// Records of it that are never held back: Trades, Fills, Nones and unknown ones.
        counts: [u32; 4],
    },
    /// All books are dropped; a new session begins.
    Session {
        /// Its source.
        uri: String,
    },
    /// The session goes on in a new segment.
    Continues {
        /// Where it began.
        ordinal: u64,
        /// Its source.
        uri: String,
    },
    /// Records are missing, or only marks.
    Hole {
        /// The ordinal of the first missing one.
        first: u64,
        /// The first that is there again.
        end: u64,
        /// Why; for a reader.
        reason: String,
    },
}

impl Mark {
    /// As a record of the log; `ts_event` (ns) is for a reader.
    #[must_use]
    pub fn to_record(&self, ts_event: u64) -> [u8; MARK_BYTES] {
        let (key, text) = match self {
            Mark::Doubt { key, reason } => (Some(key), format!("doubt {reason}")),
            Mark::Pause { key } => (Some(key), "pause".into()),
            Mark::Await => (None, "await".into()),
            Mark::Trust { key } => (Some(key), "trust".into()),
            Mark::Drop { key, counts: [t, f, n, u] } => (Some(key), format!("drop {t},{f},{n},{u}")),
            Mark::Session { uri } => (None, format!("session {uri}")),
            Mark::Continues { ordinal, uri } => (None, format!("continues {ordinal} {uri}")),
            Mark::Hole { first, end, reason } => (None, format!("hole {first} {end} {reason}")),
        };
        let mut record = [0; MARK_BYTES];
        record[..2].copy_from_slice(&[(MARK_BYTES / 4) as u8, rtype::SYSTEM]);
        if let Some(key) = key {
            record[2..4].copy_from_slice(&key.publisher_id.to_le_bytes());
            record[4..8].copy_from_slice(&key.instrument_id.to_le_bytes());
        }
        record[8..16].copy_from_slice(&ts_event.to_le_bytes());
        let text = one_line(&format!("{PREFIX}{text}"), TEXT_BYTES_MAX);
        record[TEXT_AT..TEXT_AT + text.len()].copy_from_slice(text.as_bytes());
        record[CODE_AT] = CODE_UNSET;
        record
    }

    /// The mark that a record of the log is; nothing if it is something else.
    #[must_use]
    pub fn of(record: &[u8]) -> Option<Self> {
        if record.len() != MARK_BYTES || record[1] != rtype::SYSTEM {
            return None;
        }
        let text = record[TEXT_AT..CODE_AT].split(|byte| *byte == 0).next()?;
        let text = std::str::from_utf8(text).ok()?.strip_prefix(PREFIX)?;
        let key = Key {
            publisher_id: u16::from_le_bytes([record[2], record[3]]),
            instrument_id: u32::from_le_bytes([record[4], record[5], record[6], record[7]]),
        };
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word {
            "doubt" => Mark::Doubt { key, reason: rest.into() },
            "pause" => Mark::Pause { key },
            "await" => Mark::Await,
            "trust" => Mark::Trust { key },
            "drop" => {
                let counts: Vec<u32> = rest.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
                Mark::Drop { key, counts: counts.try_into().ok()? }
            }
            "session" => Mark::Session { uri: rest.into() },
            "continues" => {
                let (ordinal, uri) = rest.split_once(' ')?;
                Mark::Continues { ordinal: ordinal.parse().ok()?, uri: uri.into() }
            }
            "hole" => {
                let (first, rest) = rest.split_once(' ')?;
                let (end, reason) = rest.split_once(' ')?;
                Mark::Hole { first: first.parse().ok()?, end: end.parse().ok()?, reason: reason.into() }
            }
            _ => return None,
        })
    }

    /// Does to the market's book what the mark stands for. Sessions and holes concern the whole market and are the
    /// caller's.
    pub fn apply(&self, market: &mut Market) {
        match self {
            Mark::Doubt { key, reason } => {
                let at = market.find_or_add(*key);
                market.doubt(at, reason, false);
            }
            Mark::Pause { key } => {
                let at = market.find_or_add(*key);
                market.pause(at);
            }
            Mark::Trust { key } => {
                let at = market.find_or_add(*key);
                market.trust(at);
            }
            Mark::Drop { key, counts } => {
                let at = market.find_or_add(*key);
                market.drop_unfinished(at, &by_action(*counts));
            }
            Mark::Await | Mark::Session { .. } | Mark::Continues { .. } | Mark::Hole { .. } => {}
        }
    }
}

/// The counts of a drop mark as the books count: by action.
#[must_use]
pub fn by_action(counts: [u32; 4]) -> [u32; 8] {
    let mut all = [0; 8];
    all[Action::Trade as usize..].copy_from_slice(&counts);
    all
}

/// A URI as marks have it: one that is too long ends with a hash of the whole.
#[must_use]
pub fn mark_uri(uri: &str) -> String {
    let plain = one_line(uri, usize::MAX);
    if plain.len() <= URI_BYTES_MAX {
        return plain;
    }
    let hash = format!("#{:016x}", twox_hash::XxHash3_64::oneshot(uri.as_bytes()));
    one_line(&plain, URI_BYTES_MAX - hash.len()) + &hash
}

/// Text without control characters (a NUL would end it), at most so many bytes.
fn one_line(text: &str, bytes_max: usize) -> String {
    let mut line = String::new();
    for char in text.chars().map(|char| if char.is_control() { ' ' } else { char }) {
        if line.len() + char.len_utf8() > bytes_max {
            break;
        }
        line.push(char);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        let key = Key { publisher_id: 2, instrument_id: 70_000 };
        let marks = [
            Mark::Doubt { key, reason: "sequence gap".into() },
            Mark::Pause { key },
            Mark::Await,
            Mark::Trust { key },
            Mark::Drop { key, counts: [1, 2, 3, u32::MAX] },
            Mark::Session { uri: "databento:GLBX.MDP3?symbols=ES.FUT".into() },
            Mark::Continues { ordinal: u64::MAX, uri: mark_uri(&"long ".repeat(100)) },
            Mark::Hole { first: 3, end: u64::MAX, reason: "No space left on device".into() },
        ];
        for mark in marks {
            let record = mark.to_record(7);
            assert_eq!(Mark::of(&record), Some(mark));
            assert_eq!(record[8..16], 7_u64.to_le_bytes());
        }
    }

    #[test]
    fn texts_that_do_not_fit_are_cut_and_stay_one_line() {
        let reason = format!("two\nlines {}", "é".repeat(400));
        let Some(Mark::Doubt { reason, .. }) = Mark::of(&Mark::Doubt { key: Key::default(), reason }.to_record(0))
        else {
            panic!("a doubt");
        };
        assert!(reason.starts_with("two lines éé") && reason.len() > 250);
        let (a, b) = (mark_uri(&format!("{}a", "x".repeat(400))), mark_uri(&format!("{}b", "x".repeat(400))));
        assert!(a != b && a.len() == URI_BYTES_MAX);
    }

    #[test]
    fn other_system_messages_are_no_marks() {
        let mut record = Mark::Await.to_record(0);
        record[TEXT_AT] = b'L';
        assert_eq!(Mark::of(&record), None);
        assert_eq!(Mark::of(&record[..80]), None);
    }
}
