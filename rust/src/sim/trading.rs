//! Events in which orders trade: Trade, then the Fills in priority order, then what becomes of the book, in one event.

use super::instrument::{Fill, Instrument, SIDE_ORDERS_MIN, draw_size};
use super::resting::{NONE, Pool, Side};
use super::tape::{Entry, Tape};

/// Trades without an aggressor (side N, no order ID), as the legs of spreads are reported.
const NO_AGGRESSOR_PERCENT: u32 = 2;
/// A whole fill after which a hidden part comes forward: a Modify to the same price and size.
const REFRESH_PERCENT: u32 = 8;
/// A part fill told as a Modify to what remains; otherwise as a Cancel of what was filled.
const PART_FILL_MODIFY_PERCENT: u32 = 60;
/// The aggressor outlives the price level and rests at its price.
const REMAINDER_RESTS_PERCENT: u32 = 30;
/// How many price levels a sweep goes through, each as likely.
const SWEEP_LEVELS: [u32; 4] = [1, 1, 2, 3];

/// The party that started a trade.
struct Aggressor {
    id: u64,
    side: u8,
}

impl Instrument {
    /// An order takes from the front of `side`'s best queue.
    pub(super) fn trade(&mut self, side: Side, tape: &mut Tape) {
        let touch = self.resting.best(side);
        let may_rest = -self.resting.overlap() <= self.reach as i32;
        if may_rest {
            self.make_room(side.opposite(), -touch, tape);
        }
        let mut wanted = draw_size(tape) << if tape.rng.percent(20) { 2 } else { 0 };
        let spare = self.resting.orders(side).saturating_sub(SIDE_ORDERS_MIN) as usize;
        self.fills.clear();
        let mut slot = self.resting.front(side);
        while wanted > 0 && self.fills.len() < spare && slot != NONE && self.resting.order(slot).rank == touch {
            let size = self.resting.order(slot).size.min(wanted);
            self.fills.push(Fill { slot, size });
            wanted -= size;
            slot = self.resting.next_in_priority(slot);
        }
        if self.fills.is_empty() {
            return;
        }
        tape.begin(self.id);
        let aggressor = if tape.rng.percent(NO_AGGRESSOR_PERCENT) {
            Aggressor { id: 0, side: b'N' }
        } else {
            Aggressor { id: tape.new_order_id(), side: side.opposite().letter() }
        };
        self.write_fills(&aggressor, touch, tape);
        tape.next_packet();
        let level_is_gone = slot == NONE || self.resting.order(slot).rank != touch;
        let rests =
            may_rest && wanted > 0 && level_is_gone && aggressor.id != 0 && tape.rng.percent(REMAINDER_RESTS_PERCENT);
        if rests {
            // As real venues do, before the Cancels: until LAST the book is locked.
            self.write(b'A', side.opposite(), -touch, aggressor.id, wanted, tape);
        }
        self.settle(!rests, tape);
        if rests {
            self.resting.insert(side.opposite(), -touch, wanted, aggressor.id, Pool::Quotes);
        }
        tape.end();
    }

    /// One order takes whole price levels: a Trade with its Fills for each, then all the Cancels.
    pub(super) fn sweep(&mut self, side: Side, tape: &mut Tape) {
        let levels = SWEEP_LEVELS[tape.rng.below(4) as usize];
        let mut spare = self.resting.orders(side).saturating_sub(SIDE_ORDERS_MIN);
        let mut slot = self.resting.front(side);
        let mut aggressor = None;
        let mut all = Vec::new();
        for _ in 0..levels {
            let rank = self.resting.order(slot).rank;
            self.fills.clear();
            while slot != NONE && self.resting.order(slot).rank == rank {
                self.fills.push(Fill { slot, size: self.resting.order(slot).size });
                slot = self.resting.next_in_priority(slot);
            }
            // Too few orders would be left: the sweep, if it has begun, ends at the level before.
            let Some(left) = spare.checked_sub(self.fills.len() as u32) else { break };
            spare = left;
            let aggressor = aggressor.get_or_insert_with(|| {
                tape.begin(self.id);
                Aggressor { id: tape.new_order_id(), side: side.opposite().letter() }
            });
            self.write_fills(aggressor, rank, tape);
            all.append(&mut self.fills);
        }
        if all.is_empty() {
            return;
        }
        tape.next_packet();
        self.fills = all;
        self.settle(false, tape);
        tape.end();
    }

    /// Ends a crossed period: the fronts of both sides trade with each other, at one price, until the book is open.
    pub(super) fn uncross(&mut self, tape: &mut Tape) {
        self.fills.clear();
        let mut at = Side::BOTH.map(|side| self.resting.front(side));
        let mut filled = [0; 2];
        let mut volume = 0;
        // One order of each side stays, so that there is a touch to trade at afterwards.
        let mut spare = Side::BOTH.map(|side| self.resting.orders(side) - 1);
        while spare[0] > 0 && spare[1] > 0 {
            let [bid, ask] = at.map(|slot| self.resting.order(slot));
            if bid.rank + ask.rank < 0 {
                break;
            }
            let sizes = [bid.size, ask.size];
            let size = (sizes[0] - filled[0]).min(sizes[1] - filled[1]);
            volume += size;
            for side in 0..2 {
                filled[side] += size;
                if filled[side] == sizes[side] {
                    self.fills.push(Fill { slot: at[side], size: sizes[side] });
                    at[side] = self.resting.next_in_priority(at[side]);
                    filled[side] = 0;
                    spare[side] -= 1;
                }
            }
        }
        self.fills
            .extend(at.into_iter().zip(filled).map(|(slot, size)| Fill { slot, size }).filter(|fill| fill.size > 0));
        let price = self.price(Side::Bid, (self.resting.best(Side::Bid) - self.resting.best(Side::Ask)) / 2);
        tape.begin(self.id);
        tape.push(&Entry { action: b'T', side: b'N', order_id: 0, price, size: volume });
        for fill in &self.fills {
            let order = self.resting.order(fill.slot);
            let side = order.side.letter();
            tape.push(&Entry { action: b'F', side, order_id: order.id, price, size: fill.size });
        }
        tape.next_packet();
        self.settle(false, tape);
        tape.end();
    }

    /// Trade and Fills at `rank` of the resting side. The Trade's side is the aggressor's, a Fill's the resting
    /// order's, and both are N where there is no aggressor.
    fn write_fills(&self, aggressor: &Aggressor, rank: i32, tape: &mut Tape) {
        let resting_side = self.resting.order(self.fills[0].slot).side;
        let price = self.price(resting_side, rank);
        let side = if aggressor.id == 0 { b'N' } else { resting_side.letter() };
        let size = self.fills.iter().map(|fill| fill.size).sum();
        tape.push(&Entry { action: b'T', side: aggressor.side, order_id: aggressor.id, price, size });
        for fill in &self.fills {
            let order_id = self.resting.order(fill.slot).id;
            tape.push(&Entry { action: b'F', side, order_id, price, size: fill.size });
        }
    }

    /// What the fills do to the book.
    fn settle(&mut self, may_refresh: bool, tape: &mut Tape) {
        let fills = std::mem::take(&mut self.fills);
        for &Fill { slot, size } in &fills {
            let order = *self.resting.order(slot);
            if size == order.size {
                if may_refresh && tape.rng.percent(REFRESH_PERCENT) {
                    self.write(b'M', order.side, order.rank, order.id, size, tape);
                } else {
                    self.write_removal(slot, tape);
                }
                continue;
            }
            let remains = order.size - size;
            self.resting.resize(slot, remains);
            if tape.rng.percent(PART_FILL_MODIFY_PERCENT) {
                self.write(b'M', order.side, order.rank, order.id, remains, tape);
            } else {
                self.write(b'C', order.side, order.rank, order.id, size, tape);
            }
        }
        self.fills = fills;
    }
}
