//! What rests in a book, as one number.

use std::hash::{DefaultHasher, Hash, Hasher};

use l3book::{event::EventBook, record::Side};

/// All orders of both sides, in their queues: what has to be right.
pub fn content(book: &EventBook) -> u64 {
    let mut hasher = DefaultHasher::new();
    for side in Side::BOTH {
        for (level, queue) in book.book().queues(side) {
            (level.price, level.size, level.count).hash(&mut hasher);
            for order in queue {
                (order.order_id, order.size, order.ts_event).hash(&mut hasher);
            }
        }
        side.letter().hash(&mut hasher);
    }
    hasher.finish()
}
