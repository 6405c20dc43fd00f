//! What moves books without a record, and how a journal is told of all that moves them.

use super::Market;
use crate::{history::Mark, journal::Journal};

impl Market {
    /// From now on, this journal is told what is applied; returns the one that was until now.
    pub fn set_journal(&mut self, journal: Option<Journal>) -> Option<Journal> {
        std::mem::replace(&mut self.journal, journal.map(Box::new)).map(|journal| *journal)
    }

    /// Tells the journal, which may look at the market as it is.
    #[cold]
    #[inline(never)]
    pub(super) fn tell(&mut self, what: impl FnOnce(&mut Journal, &Self)) {
        if let Some(mut journal) = self.journal.take() {
            what(&mut journal, self);
            self.journal = Some(journal);
        }
    }

    /// Makes a book suspect; `is_news` if the reason is a new one, also where the book was suspect already.
    pub(crate) fn doubt(&mut self, at: usize, reason: &str, is_news: bool) {
        if (self.books[at].doubt() || is_news) && self.journal.is_some() {
            let mark = Mark::Doubt { key: self.keys[at], reason: reason.into() };
            self.tell(|journal, market| journal.mark(&mark, market.books[at].moment().ts_event));
        }
    }

    /// The stream failed for good, and nobody knows what would follow: unfinished events are forgotten, and every book is
    /// suspect.
    pub fn abandon(&mut self, reason: &str) {
        for at in 0..self.len() {
            self.drop_unfinished(at, &[0; 8]);
            self.doubt(at, reason, true);
        }
    }

    /// Makes a book suspect because its stream broke.
    pub(crate) fn pause(&mut self, at: usize) {
        self.books[at].doubt();
        let mark = Mark::Pause { key: self.keys[at] };
        self.tell(|journal, market| journal.mark(&mark, market.books[at].moment().ts_event));
    }

    /// Every book waits for its snapshot.
    pub(crate) fn await_snapshots(&mut self) {
        self.tell(|journal, market| {
            let ts_event = market.books.iter().map(|book| book.moment().ts_event).max();
            journal.mark(&Mark::Await, ts_event.unwrap_or(0));
        });
    }

    /// Takes a book's doubt back.
    pub(crate) fn trust(&mut self, at: usize) {
        self.books[at].trust();
        let mark = Mark::Trust { key: self.keys[at] };
        self.tell(|journal, market| journal.mark(&mark, market.books[at].moment().ts_event));
    }

    /// Forgets a book's unfinished event; `pending` are those of its records that are never held back, by action.
    pub(crate) fn drop_unfinished(&mut self, at: usize, pending: &[u32; 8]) {
        if self.books[at].drop_unfinished(pending) {
            let mark = Mark::Drop { key: self.keys[at], counts: std::array::from_fn(|i| pending[4 + i]) };
            self.tell(|journal, market| journal.mark(&mark, market.books[at].moment().ts_event));
        }
    }
}
