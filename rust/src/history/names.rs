//! Which books a session has, and by which names.

use super::{
    checkpoint_file::{CheckpointFile, Head},
    cursor::Item,
    error::HistoryError,
    log::{Log, Session},
    mark::Mark,
};
use crate::{
    event::Rules,
    market::{Key, LookupError, Market, Name},
    symbols::Symbols,
};
use std::path::PathBuf;

/// A session's books without anything in them.
pub(super) struct Names {
    market: Market,
    /// So far they are known.
    ordinal: u64,
}

impl Names {
    /// As the newest of these checkpoints has them that is of the session and can be read.
    pub(super) fn of(session: &Session, checkpoints: &[(Head, PathBuf)]) -> Self {
        let own = |head: &Head| head.session == session.ordinal && head.ordinal >= session.first_ordinal;
        let read = |path: &PathBuf| {
            let file = CheckpointFile::open(path).ok()?;
            let mut market = file.frame().ok()?;
            file.keys().for_each(|key| _ = market.find_or_add(key));
            Some(market)
        };
        let mut newest = checkpoints.iter().rev().filter(|(head, _)| own(head));
        let found = newest.find_map(|(head, path)| Some(Self { market: read(path)?, ordinal: head.ordinal }));
        found.unwrap_or_else(|| Self { market: Market::new(Rules::default()), ordinal: session.first_ordinal })
    }

    /// The one book that goes by a name, as far as names are known.
    pub(super) fn lookup(&self, name: &Name) -> Result<Key, LookupError> {
        self.market.lookup(name)
    }

    pub(super) fn symbols(&self) -> &Symbols {
        &self.market.symbols
    }

    /// Knows all names up to the session's end.
    pub(super) fn extend(&mut self, log: &Log, session: &Session) -> Result<(), HistoryError> {
        let mut cursor = log.cursor(self.ordinal);
        let mut last = None;
        while self.ordinal < session.end_ordinal
            && let Some(item) = cursor.next(log)?
        {
            match item {
                Item::Metadata(metadata) => self.market.symbols.add_metadata(metadata),
                Item::Mapping(record) => self.market.symbols.add_record(record),
                Item::Mark(Mark::Doubt { key, .. }) => _ = self.market.find_or_add(key),
                Item::Session { .. } | Item::Mark(_) | Item::Missing { .. } => {}
                Item::Records { first_ordinal, records } => {
                    for record in records {
                        let key = Key::of(record);
                        if last.replace(key) != Some(key) {
                            self.market.find_or_add(key);
                        }
                    }
                    self.ordinal = first_ordinal + records.len() as u64;
                }
            }
        }
        Ok(())
    }
}
