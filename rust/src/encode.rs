//! Views → JSON, the one shape that files, REST and later the WebSocket share.
//!
//! Prices are decimal strings without rounding, with at least two decimals; times and order ids are strings, since
//! they exceed what a JavaScript number holds exactly.

use std::io::Write;

use crate::{book::Order, view::View};

const PRICE_UNITS: u64 = 1_000_000_000;
const DECIMALS_MIN: usize = 2;

/// Appends a price in 1e-9 units as a decimal: `65.40`, `-0.015625`.
pub fn push_price(out: &mut Vec<u8>, price: i64) {
    if price < 0 {
        out.push(b'-');
    }
    let units = price.unsigned_abs();
    push_int(out, units / PRICE_UNITS);
    let mut fraction = units % PRICE_UNITS;
    let mut digits = [b'0'; 9];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    let significant = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    out.push(b'.');
    out.extend_from_slice(&digits[..significant.max(DECIMALS_MIN)]);
}

fn push_int(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn push_quoted_int(out: &mut Vec<u8>, value: u64) {
    out.push(b'"');
    push_int(out, value);
    out.push(b'"');
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32).expect("a Vec takes all"),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends `[a,b,…]`.
fn push_array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut push: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(b']');
}

fn push_queue(out: &mut Vec<u8>, queue: &[Order]) {
    push_array(out, queue, |out, order| {
        out.push(b'[');
        push_quoted_int(out, order.order_id);
        out.push(b',');
        push_int(out, u64::from(order.size));
        out.push(b',');
        push_quoted_int(out, order.ts_event);
        out.push(b']');
    });
}

fn push_side(out: &mut Vec<u8>, view: &View, side: usize) {
    let queues = view.queues.as_ref().map(|queues| &queues[side]);
    push_array(out, view.levels[side].iter().enumerate(), |out, (i, level)| {
        out.extend_from_slice(b"[\"");
        push_price(out, level.price);
        out.extend_from_slice(b"\",");
        push_int(out, level.size);
        out.push(b',');
        push_int(out, u64::from(level.count));
        if let Some(queues) = queues {
            out.push(b',');
            push_queue(out, &queues[i]);
        }
        out.push(b']');
    });
}

/// Appends a view as one JSON object.
pub fn push_view(out: &mut Vec<u8>, view: &View) {
    out.extend_from_slice(b"{\"instrument_id\":");
    push_int(out, u64::from(view.key.instrument_id));
    out.extend_from_slice(b",\"publisher_id\":");
    push_int(out, u64::from(view.key.publisher_id));
    out.extend_from_slice(b",\"symbol\":");
    match &view.symbol {
        Some(symbol) => push_string(out, symbol),
        None => out.extend_from_slice(b"null"),
    }
    write!(out, ",\"epoch\":\"{:x}\",\"seq\":{}", view.epoch, view.moment.seq).expect("a Vec takes all");
    write!(out, ",\"sequence\":{}", view.moment.sequence).expect("a Vec takes all");
    out.extend_from_slice(b",\"ts_event\":");
    push_quoted_int(out, view.moment.ts_event);
    out.extend_from_slice(b",\"ts_recv\":");
    push_quoted_int(out, view.moment.ts_recv);
    write!(out, ",\"state\":\"{}\"", view.state.name()).expect("a Vec takes all");
    write!(out, ",\"crossed\":{},\"locked\":{}", view.is_crossed, view.is_locked).expect("a Vec takes all");
    out.extend_from_slice(b",\"bids\":");
    push_side(out, view, 0);
    out.extend_from_slice(b",\"asks\":");
    push_side(out, view, 1);
    out.extend_from_slice(b",\"orders\":");
    push_int(out, view.orders as u64);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(units: i64) -> String {
        let mut out = Vec::new();
        push_price(&mut out, units);
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn prices_are_exact_decimals() {
        assert_eq!(price(65_400_000_000), "65.40");
        assert_eq!(price(0), "0.00");
        assert_eq!(price(-15_625_000), "-0.015625");
        assert_eq!(price(1), "0.000000001");
        assert_eq!(price(-1_000_000_000), "-1.00");
        assert_eq!(price(i64::MIN), "-9223372036.854775808");
        assert_eq!(price(i64::MAX - 1), "9223372036.854775806");
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        push_string(&mut out, "a\"b\\c\u{1}ü");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), "\"a\\\"b\\\\c\\u0001ü\"");
    }
}
