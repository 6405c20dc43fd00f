//! How the book of an instrument begins: with an MBO snapshot, and after each Clear with another.

use super::instrument::{Instrument, SIDE_ORDERS_MIN, draw_size};
use super::resting::{NONE, Pool, Side};
use super::tape::{Entry, Tape};

/// A Clear comes after as many records as rest orders, times this; so snapshots stay about one record in a hundred.
const RECORDS_PER_CLEAR: u64 = 100;

impl Instrument {
    /// The first event: a snapshot of a book that was there before.
    pub(super) fn open(&mut self, tape: &mut Tape) {
        self.fill_book(self.first_bid, tape);
        self.write_snapshot(tape);
    }

    /// Clears the book in one of the two ways seen in real streams, in turn.
    pub(super) fn clear(&mut self, tape: &mut Tape) {
        if self.recovers {
            // The feed recovers from a gap: the same orders again, less those that went in the meantime.
            for _ in 0..(self.target[0] + self.target[1]) / 32 {
                let slot = self.resting.pick(Pool::Deep, &mut tape.rng);
                if slot != NONE && self.resting.orders(self.resting.order(slot).side) > SIDE_ORDERS_MIN {
                    self.resting.remove(slot);
                }
            }
        } else {
            // The venue starts again: an empty book for everyone to see, then other orders at another price.
            tape.begin(self.id);
            tape.push(&Entry::bare(b'R'));
            tape.end();
            let jump = tape.rng.below(self.reach) as i32 - (self.reach / 2) as i32;
            let bid = self.resting.best(Side::Bid) + jump;
            self.resting.clear();
            self.fill_book(bid, tape);
        }
        self.recovers = !self.recovers;
        self.write_snapshot(tape);
    }

    /// New orders on both sides, `bid` and the tick above it being the touch.
    fn fill_book(&mut self, bid: i32, tape: &mut Tape) {
        for pool in [Pool::Quotes, Pool::Deep] {
            for n in 0..self.target[pool as usize] {
                let side = Side::BOTH[n as usize % 2];
                let best = if side == Side::Bid { bid } else { -(bid + 1) };
                let touches = pool == Pool::Quotes && n < 2;
                let distance = if touches { 0 } else { self.distance(pool, tape) };
                let (id, size) = (tape.new_order_id(), draw_size(tape));
                self.resting.insert(side, best - distance as i32, size, id, pool);
            }
        }
    }

    /// Clear, then all orders in price-time priority, bids first, as one event.
    fn write_snapshot(&mut self, tape: &mut Tape) {
        tape.begin_snapshot(self.id);
        tape.push(&Entry::bare(b'R'));
        for side in Side::BOTH {
            let mut slot = self.resting.front(side);
            while slot != NONE {
                let order = self.resting.order(slot);
                self.write(b'A', side, order.rank, order.id, order.size, tape);
                slot = self.resting.next_in_priority(slot);
            }
        }
        tape.end();
        let mean = RECORDS_PER_CLEAR * u64::from(self.target[0] + self.target[1]);
        self.until_clear = mean / 2 + tape.rng.below_u64(mean);
    }
}
