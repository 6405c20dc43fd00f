//! Does a book show what the naive book shows, and does it keep its own promises?

use l3book::{
    book::SameSizeModify,
    event::{EventBook, Rules},
    market::Key,
    naive::NaiveBook,
    record::{MboMsg, Side},
};

/// A naive book under the rules of a market.
pub fn naive(rules: &Rules) -> NaiveBook {
    NaiveBook::new(rules.same_size == SameSizeModify::ToBack, rules.until, rules.epoch)
}

/// The key of a record's book, not read by the market's own means.
pub fn key_of(record: &MboMsg) -> Key {
    Key { publisher_id: record.hd.publisher_id, instrument_id: record.hd.instrument_id }
}

/// Fails with the name of what differs and both values.
macro_rules! same {
    ($what:expr, $fast:expr, $naive:expr) => {
        let (fast, naive) = ($fast, $naive);
        if fast != naive {
            return Err(format!("{}: {fast:?}, the naive book has {naive:?}", $what));
        }
    };
}

/// All that can be seen of a book, against the naive one.
pub fn agrees(book: &EventBook, naive: &NaiveBook) -> Result<(), String> {
    let orders = book.book();
    for side in Side::BOTH {
        let expected = naive.levels(side);
        let levels = || orders.levels(side).map(|level| (level.price, level.size, level.count));
        if !levels().eq(expected.iter().copied()) {
            same!(format!("levels {}", side.letter()), &levels().collect::<Vec<_>>(), &expected);
        }
        let best = orders.best(side).map(|level| (level.price, level.size, level.count));
        same!(format!("best {}", side.letter()), best, expected.first().copied());
        same!(format!("quote {}", side.letter()), orders.quote(side), quote(naive, side));
        for (level, queue) in orders.queues(side) {
            let queue = queue.map(|order| (order.order_id, order.size, order.ts_event));
            if !queue.eq(naive.orders.sides[side as usize].get(&level.price).into_iter().flatten().copied()) {
                let queue: Vec<_> = orders.orders_at(side, level.price).collect();
                let expected = naive.queue(side, level.price);
                return Err(format!("queue {}: {queue:?}, the naive book has {expected:?}", side.letter()));
            }
        }
    }
    for (fast, naive) in book.counters().into_iter().zip(naive.counters()) {
        if fast.1 != naive.1 {
            same!("counter", fast, naive);
        }
    }
    same!("state", book.state().name(), naive.state());
    same!("seq", book.moment().seq, naive.seq());
    let moment = book.moment();
    same!("moment", (moment.ts_event, moment.ts_recv, moment.sequence), naive.moment());
    same!("epoch", book.epoch(), naive.epoch());
    orders.check().map_err(|broken| broken.to_string())
}

fn quote(naive: &NaiveBook, side: Side) -> Option<(i64, u64)> {
    naive.orders.quotes[side as usize].map(|(price, size)| (price, u64::from(size)))
}

/// What an exchange's price-time priority asks of any book, in words of the public interface only: nothing is taken
/// from `check()`, nothing from the naive book.
pub fn keeps_exchange_rules(book: &EventBook) -> Result<(), String> {
    let orders = book.book();
    let mut seen = Vec::new();
    for side in Side::BOTH {
        let mut better: Option<i64> = None;
        for (level, queue) in orders.queues(side) {
            if better
                .is_some_and(|better| if side == Side::Bid { better <= level.price } else { better >= level.price })
            {
                return Err(format!("level {} {} does not follow {better:?}", side.letter(), level.price));
            }
            if better.is_none() && orders.best(side) != Some(level) {
                return Err(format!("best {} is {:?}, the first level {level:?}", side.letter(), orders.best(side)));
            }
            better = Some(level.price);
            let quote = orders.quote(side).filter(|(price, _)| *price == level.price).map_or(0, |(_, size)| size);
            let (mut size, mut count) = (quote, 0);
            for order in queue {
                let place = orders.queue_position(order.order_id);
                let ahead = place.map(|place| (place.orders_ahead, place.size_ahead + quote));
                if order.size == 0 || ahead != Some((count, size)) {
                    return Err(format!("{order:?} has size 0 or stands at {place:?}, not behind {count} of {size}"));
                }
                seen.push(order.order_id);
                if orders.order(order.order_id) != Some(order) {
                    return Err(format!("{order:?} is not found by its id"));
                }
                size += u64::from(order.size);
                count += 1;
            }
            if (size, count) != (level.size, level.count) || size == 0 {
                return Err(format!("{level:?} holds {count} orders of {size}"));
            }
        }
        if better.is_none() && orders.best(side).is_some() {
            return Err(format!("best {} of a side without levels", side.letter()));
        }
    }
    seen.sort_unstable();
    if let Some(twice) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("order {} rests twice", twice[0]));
    }
    if seen.len() != orders.len() {
        return Err(format!("{} orders rest, {} are counted", seen.len(), orders.len()));
    }
    Ok(())
}
