//! What the wire is written with: JSON or MessagePack, by one encoder for both.
//!
//! A [`Writer`] takes one value after another; how many entries or items follow is said first, which MessagePack
//! needs, and where an item ends, which JSON needs. Prices are decimal strings without rounding, with at least two
//! decimals; times and order ids are strings, since they exceed what a JavaScript number holds exactly. Both formats
//! hold the same values, so that a client decodes them to the same object.

use std::io::Write;

const PRICE_UNITS: u64 = 1_000_000_000;
const DECIMALS_MIN: usize = 2;

/// The name of a map's entry, with what stands around it in JSON.
#[derive(Clone, Copy)]
pub(crate) struct EntryName {
    pub(crate) json: &'static str,
    pub(crate) plain: &'static str,
}

/// The name of a map's first entry.
macro_rules! first {
    ($name:literal) => {
        $crate::writer::EntryName { json: concat!("{\"", $name, "\":"), plain: $name }
    };
}

/// The name of a further entry.
macro_rules! next {
    ($name:literal) => {
        $crate::writer::EntryName { json: concat!(",\"", $name, "\":"), plain: $name }
    };
}

pub(crate) use {first, next};

/// Appends values to bytes of one format.
pub(crate) trait Writer {
    /// Begins a map of so many entries.
    fn map(&mut self, entries: usize);
    /// Begins an entry; its value follows.
    fn name(&mut self, name: EntryName);
    fn end_map(&mut self);
    /// Begins an array of so many items.
    fn array(&mut self, items: usize);
    /// Stands between two items.
    fn separate(&mut self);
    fn end_array(&mut self);
    fn null(&mut self);
    fn bool(&mut self, value: bool);
    fn int(&mut self, value: u64);
    /// A time or an id, as a string.
    fn quoted(&mut self, value: u64);
    /// An epoch, as a string of hexadecimal digits.
    fn hex(&mut self, value: u64);
    fn price(&mut self, price: i64);
    /// A string that is the same in every format: no character of it needs an escape.
    fn word(&mut self, word: &str);
    fn text(&mut self, text: &str);

    /// An array, item by item.
    #[inline]
    fn items<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.array(items.len());
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.separate();
            }
            write(self, item);
        }
        self.end_array();
    }
}

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

pub(crate) fn push_int(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes JSON, without spaces.
pub(crate) struct Json<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer for Json<'_> {
    /// Its first entry's name brings the bracket.
    #[inline(always)]
    fn map(&mut self, _entries: usize) {}

    #[inline(always)]
    fn name(&mut self, name: EntryName) {
        self.0.extend_from_slice(name.json.as_bytes());
    }

    #[inline(always)]
    fn end_map(&mut self) {
        self.0.push(b'}');
    }

    #[inline(always)]
    fn array(&mut self, _items: usize) {
        self.0.push(b'[');
    }

    #[inline(always)]
    fn separate(&mut self) {
        self.0.push(b',');
    }

    #[inline(always)]
    fn end_array(&mut self) {
        self.0.push(b']');
    }

    fn null(&mut self) {
        self.0.extend_from_slice(b"null");
    }

    fn bool(&mut self, value: bool) {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
    }

    #[inline]
    fn int(&mut self, value: u64) {
        push_int(self.0, value);
    }

    #[inline]
    fn quoted(&mut self, value: u64) {
        self.0.push(b'"');
        push_int(self.0, value);
        self.0.push(b'"');
    }

    fn hex(&mut self, value: u64) {
        write!(self.0, "\"{value:x}\"").expect("a Vec takes all");
    }

    #[inline]
    fn price(&mut self, price: i64) {
        self.0.push(b'"');
        push_price(self.0, price);
        self.0.push(b'"');
    }

    fn word(&mut self, word: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'"');
        for c in text.chars() {
            match c {
                '"' => self.0.extend_from_slice(b"\\\""),
                '\\' => self.0.extend_from_slice(b"\\\\"),
                c if c < ' ' => write!(self.0, "\\u{:04x}", c as u32).expect("a Vec takes all"),
                c => self.0.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.0.push(b'"');
    }
}

/// Writes MessagePack, each length and number in its shortest form.
pub(crate) struct MessagePack<'a> {
    out: &'a mut Vec<u8>,
    /// A price in digits: their number is written before them.
    digits: Vec<u8>,
}

impl<'a> MessagePack<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, digits: Vec::new() }
    }
}

/// A length as MessagePack has it: nothing that fits in memory here has more than 2^32 items.
fn length(items: usize) -> u32 {
    u32::try_from(items).expect("fewer than 2^32 items")
}

impl Writer for MessagePack<'_> {
    fn map(&mut self, entries: usize) {
        rmp::encode::write_map_len(self.out, length(entries)).expect("a Vec takes all");
    }

    fn name(&mut self, name: EntryName) {
        self.word(name.plain);
    }

    fn end_map(&mut self) {}

    fn array(&mut self, items: usize) {
        rmp::encode::write_array_len(self.out, length(items)).expect("a Vec takes all");
    }

    fn separate(&mut self) {}

    fn end_array(&mut self) {}

    fn null(&mut self) {
        rmp::encode::write_nil(self.out).expect("a Vec takes all");
    }

    fn bool(&mut self, value: bool) {
        rmp::encode::write_bool(self.out, value).expect("a Vec takes all");
    }

    fn int(&mut self, value: u64) {
        rmp::encode::write_uint(self.out, value).expect("a Vec takes all");
    }

    fn quoted(&mut self, value: u64) {
        self.word(itoa::Buffer::new().format(value));
    }

    fn hex(&mut self, value: u64) {
        self.word(&format!("{value:x}"));
    }

    fn price(&mut self, price: i64) {
        self.digits.clear();
        push_price(&mut self.digits, price);
        rmp::encode::write_str_len(self.out, length(self.digits.len())).expect("a Vec takes all");
        self.out.extend_from_slice(&self.digits);
    }

    fn word(&mut self, word: &str) {
        rmp::encode::write_str(self.out, word).expect("a Vec takes all");
    }

    fn text(&mut self, text: &str) {
        self.word(text);
    }
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
        Json(&mut out).text("a\"b\\c\u{1}ü");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), "\"a\\\"b\\\\c\\u0001ü\"");
    }

    #[test]
    fn message_pack_is_as_short_as_it_can_be() {
        let mut out = Vec::new();
        let mut writer = MessagePack::new(&mut out);
        writer.map(1);
        writer.name(first!("p"));
        writer.items([1, 300].into_iter(), |writer, value| writer.int(value));
        writer.price(1_500_000_000);
        assert_eq!(out, b"\x81\xa1p\x92\x01\xcd\x01\x2c\xa41.50");
    }
}
