//! Which books there are, and what they are called.

use std::collections::HashMap;

use crate::{
    history::layout::DAY_NS,
    market::{Key, Market},
};

/// A book that is new, or whose symbol is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Which book.
    pub key: Key,
    /// Its symbol, if it has one.
    pub symbol: Option<Box<str>>,
}

/// What was told of instruments.
#[derive(Default)]
pub(super) struct Instruments {
    told: HashMap<Key, Option<Box<str>>>,
    /// Books of the market, and the day (since 1970), when it was last looked at.
    looked_at: (usize, u64),
    /// Symbols came since.
    has_mappings: bool,
}

impl Instruments {
    /// Symbols came.
    pub(super) fn expect_news(&mut self) {
        self.has_mappings = true;
    }

    /// What is new of a market at a time (ns).
    pub(super) fn news(&mut self, market: &Market, ts_recv: u64) -> Vec<Instrument> {
        // Historical symbols change by the day.
        let look = (market.len(), ts_recv / DAY_NS);
        if !self.has_mappings && look == self.looked_at {
            return Vec::new();
        }
        self.has_mappings = false;
        self.looked_at = look;
        let mut news = Vec::new();
        for (key, _) in market.books() {
            let symbol: Option<Box<str>> = market.symbol(key).map(Into::into);
            let told = self.told.get(&key);
            // A later session may not say it again.
            if told.is_none_or(|told| symbol.is_some() && *told != symbol) {
                self.told.insert(key, symbol.clone());
                news.push(Instrument { key, symbol });
            }
        }
        news
    }
}
