//! The channels `bbo` and `depth`: the best levels, compared with those told last.

use std::{collections::VecDeque, sync::Arc};

use super::{
    MERGED_DELTAS_MAX, Seen,
    delta::{Delta, crc_of},
    message::{Body, Message, Subject},
};
use crate::{
    event::{EventBook, State},
    market::Key,
    view::{Extent, Head, View},
};

pub(super) struct Levels {
    extent: Extent,
    /// The book as it was last told.
    view: Option<Arc<View>>,
    /// Epoch, seq and state of the book as it was last seen: where they are the same, all else is.
    seen: Option<(u64, u64, State)>,
    /// The last deltas, each of which begins where the one before it ends.
    deltas: VecDeque<Arc<Message>>,
}

impl Levels {
    pub(super) fn new(extent: Extent) -> Self {
        Self { extent, view: None, seen: None, deltas: VecDeque::new() }
    }

    pub(super) fn look(&mut self, key: Key, book: &EventBook) -> Seen {
        let now = Some((book.epoch(), book.moment().seq, book.state()));
        if std::mem::replace(&mut self.seen, now) == now {
            return Seen::Unchanged;
        }
        Seen::View(Box::new(View::of(key, None, book, self.extent)))
    }

    /// What there is to tell: a delta, or (without a body) a snapshot.
    pub(super) fn move_on(&mut self, told: Option<&Head>, view: View) -> Option<(Head, Option<Body>)> {
        let head = view.head();
        let (Some(told), Some(last)) = (told, &self.view) else { return Some(self.begin(head, view)) };
        if told.epoch != head.epoch {
            return Some(self.begin(head, view));
        }
        let delta = Delta::between(last, &view);
        if delta.is_empty() && head.is_like(told) {
            return None;
        }
        self.view = Some(Arc::new(view));
        Some((head, Some(Body::Delta(delta))))
    }

    fn begin(&mut self, head: Head, view: View) -> (Head, Option<Body>) {
        self.deltas.clear();
        self.view = Some(Arc::new(view));
        (head, None)
    }

    /// Keeps a delta, to be merged with others.
    pub(super) fn keep(&mut self, message: Arc<Message>) {
        if self.deltas.len() == MERGED_DELTAS_MAX {
            self.deltas.pop_front();
        }
        self.deltas.push_back(message);
    }

    pub(super) fn snapshot(&self) -> Body {
        let view = self.view.clone().expect("something was told");
        Body::View { crc: crc_of(&view.levels), view }
    }

    pub(super) fn merged(&self, subject: &Arc<Subject>, head: &Head, seq: u64) -> Option<Arc<Message>> {
        let first = self.deltas.iter().position(|delta| delta.prev() == Some(seq))?;
        let mut after = self.deltas.iter().skip(first);
        if after.len() == 1 {
            return after.next().cloned();
        }
        let merged = Delta::merged(after.filter_map(|message| message.delta()))?;
        Some(Arc::new(Message::new(subject.clone(), *head, Some(seq), Body::Delta(merged))))
    }
}
