//! Which books to look at, decided record by record, before there is a market to look them up in.

use std::collections::HashMap;

use dbn::Metadata;

use crate::{
    market::{Key, Name},
    symbols::Symbols,
};

#[derive(Default)]
pub(super) struct Selection {
    name: Option<Name>,
    symbols: Symbols,
    known: HashMap<Key, bool>,
}

impl Selection {
    pub(super) fn new(name: Option<Name>) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn metadata(&mut self, metadata: &Metadata) {
        if self.name.is_some() {
            self.symbols.add_metadata(metadata);
            self.known.clear();
        }
    }

    pub(super) fn symbol_mapping(&mut self, record: &[u8]) {
        if self.name.is_some() {
            self.symbols.add_record(record);
            self.known.clear();
        }
    }

    /// Books that were not asked for.
    pub(super) fn left_out(&self) -> usize {
        self.known.values().filter(|is_taken| !**is_taken).count()
    }

    /// Whether this book was asked for: all are, unless a name was given. Several may go by one name.
    pub(super) fn takes(&mut self, key: Key) -> bool {
        let Some(name) = &self.name else { return true };
        let symbols = &self.symbols;
        *self.known.entry(key).or_insert_with(|| goes_by(key, name, symbols))
    }
}

fn goes_by(key: Key, name: &Name, symbols: &Symbols) -> bool {
    match name {
        Name::Key(wanted) => *wanted == key,
        Name::InstrumentId(id) => *id == key.instrument_id,
        Name::Text(text) => {
            let numeric = Name::numeric(text);
            let mut ids = symbols.ids(text).peekable();
            match numeric {
                Some(Name::Key(wanted)) if wanted == key => true,
                Some(numeric) if ids.peek().is_none() => goes_by(key, &numeric, symbols),
                _ => ids.any(|id| id == key.instrument_id),
            }
        }
    }
}
