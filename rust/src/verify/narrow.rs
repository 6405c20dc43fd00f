//! Finds the event at which a difference came to be, by reading the file again.
//!
//! What only shows when everything is compared shows up to [`CHECK_EVERY_EVENTS`](super::CHECK_EVERY_EVENTS) events
//! late. So the one book is built again, and everything of it is compared ever more often, from the last event at
//! which all was well.

use std::path::Path;

use super::{
    Options,
    difference::{Difference, Judge},
    verifier::Verifier,
};
use crate::{
    decode::Decoder,
    market::{Key, Name},
    pieces::Pieces,
};

/// Events between two checks, pass by pass: a check of a large book takes as long as thousands of events.
const CHECK_EVERY: [u64; 2] = [256, 1];

/// The difference that `verifier` has found, at the event at which it came to be; nothing if there is none, or if it
/// cannot be found again.
pub(super) fn narrow(path: &Path, options: &Options, verifier: &Verifier) -> Option<Difference> {
    let (found, mut checked) = verifier.difference()?;
    if found.judge == Judge::Mbp10 {
        return None;
    }
    let key = Key { publisher_id: found.publisher_id, instrument_id: found.instrument_id };
    let mut narrowed = None;
    // The first pass counts the events of this book alone, so it cannot know where the others' last check fell.
    for check_every_events in CHECK_EVERY {
        let check_after_events = if narrowed.is_none() && verifier.market().len() > 1 { 0 } else { checked };
        let closely = Options {
            instrument: Some(Name::Key(key)),
            against: None,
            check_every_events,
            check_after_events,
            hash_every_events: 0,
            ..options.clone()
        };
        let (difference, its_checked) = first_difference(path, closely)?;
        (narrowed, checked) = (Some(difference), its_checked);
    }
    narrowed
}

fn first_difference(path: &Path, options: Options) -> Option<(Difference, u64)> {
    let mut verifier = Verifier::new(options).ok()?;
    let mut pieces = Pieces::open(path).ok()?;
    let mut decoder = Decoder::new();
    while verifier.difference().is_none() {
        let piece = pieces.read().ok().filter(|piece| !piece.is_empty());
        let Some(piece) = piece else { break };
        if decoder.push(piece, &mut verifier).is_err() {
            break;
        }
    }
    verifier.check_end();
    verifier.difference().map(|(difference, checked)| (difference.clone(), checked))
}
