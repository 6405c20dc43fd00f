//! Which symbol an instrument_id stands for, and when: ids are reused from day to day.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::CStr,
    mem::offset_of,
    ops::Range,
    sync::Arc,
};

use dbn::{MappingInterval, Metadata, SType, SYMBOL_CSTR_LEN, SymbolMapping};
use time::Date;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

/// The UTC date of a time (ns).
fn date_of(ts_ns: u64) -> Date {
    let day = i32::try_from(ts_ns / (NS_PER_DAY as u64)).expect("u64 nanoseconds are 213,504 days");
    let epoch = Date::from_ordinal_date(1970, 1).expect("a date").to_julian_day();
    Date::from_julian_day(epoch + day).expect("a date before the year 2555")
}

#[derive(Clone, Default)]
pub(crate) struct Symbols {
    /// Symbols of each instrument_id by (start, end) of their interval, ns.
    by_id: HashMap<u32, BTreeMap<(u64, u64), Arc<str>>>,
    ids: HashMap<Arc<str>, HashSet<u32>>,
}

impl Symbols {
    /// The symbol of an instrument at a time (ns): of the interval that began last, or else the last one known.
    pub(crate) fn get(&self, instrument_id: u32, ts_ns: u64) -> Option<&Arc<str>> {
        let intervals = self.by_id.get(&instrument_id)?;
        let begun = intervals.range(..=(ts_ns, u64::MAX)).next_back();
        let current = begun.filter(|((_, end), _)| ts_ns < *end);
        // A live mapping holds without end, beneath whatever history says.
        let open = || intervals.first_key_value().filter(|((start, end), _)| (*start, *end) == (0, u64::MAX));
        current.or_else(open).or(intervals.last_key_value()).map(|(_, symbol)| symbol)
    }

    /// The time around `ts_ns` (ns) in which [`get`](Self::get) keeps its answer.
    pub(crate) fn span(&self, instrument_id: u32, ts_ns: u64) -> Range<u64> {
        let mut span = 0..u64::MAX;
        for (start, end) in self.by_id.get(&instrument_id).into_iter().flat_map(BTreeMap::keys) {
            for bound in [*start, *end] {
                if bound <= ts_ns {
                    span.start = span.start.max(bound);
                } else {
                    span.end = span.end.min(bound);
                }
            }
        }
        span
    }

    /// Whether no instrument has a symbol.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Every instrument_id that ever went by this symbol.
    pub(crate) fn ids(&self, symbol: &str) -> impl Iterator<Item = u32> {
        self.ids.get(symbol).into_iter().flatten().copied()
    }

    /// Every mapping, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Range<u64>, &str)> {
        self.by_id
            .iter()
            .flat_map(|(id, intervals)| intervals.iter().map(|((start, end), symbol)| (*id, *start..*end, &**symbol)))
    }

    /// Takes over all mappings of others.
    pub(crate) fn extend(&mut self, others: &Self) {
        for (id, interval, symbol) in others.iter() {
            self.insert(id, interval, symbol);
        }
    }

    /// Takes over the mappings that others have of one instrument.
    pub(crate) fn extend_by(&mut self, others: &Self, instrument_id: u32) {
        for ((start, end), symbol) in others.by_id.get(&instrument_id).into_iter().flatten() {
            self.insert(instrument_id, *start..*end, symbol);
        }
    }

    pub(crate) fn insert(&mut self, instrument_id: u32, interval: Range<u64>, symbol: &str) {
        if symbol.is_empty() {
            return;
        }
        let symbol: Arc<str> = symbol.into();
        self.ids.entry(symbol.clone()).or_default().insert(instrument_id);
        self.by_id.entry(instrument_id).or_default().insert((interval.start, interval.end), symbol);
    }

    /// Takes over the mappings of a historical stream's metadata, whichever way round they are.
    pub(crate) fn add_metadata(&mut self, metadata: &Metadata) {
        for mapping in &metadata.mappings {
            for interval in &mapping.intervals {
                let (id, symbol) = match (metadata.stype_in, metadata.stype_out) {
                    (_, SType::InstrumentId) => (interval.symbol.parse(), mapping.raw_symbol.as_str()),
                    (Some(SType::InstrumentId), _) => (mapping.raw_symbol.parse(), interval.symbol.as_str()),
                    _ => continue,
                };
                if let Ok(id) = id {
                    let [start, end] = [interval.start_date, interval.end_date].map(|date| {
                        let seconds = date.midnight().assume_utc().unix_timestamp();
                        // A date that u64 nanoseconds do not reach is without end, as live mappings are.
                        seconds.checked_mul(NS_PER_S).map_or(u64::MAX, |ns| u64::try_from(ns).unwrap_or(0))
                    });
                    self.insert(id, start..end, symbol);
                }
            }
        }
    }

    /// Every mapping, as the metadata of a stream names them.
    pub(crate) fn mappings(&self) -> Vec<SymbolMapping> {
        let mut by_symbol: BTreeMap<&str, Vec<MappingInterval>> = BTreeMap::new();
        for (id, at, symbol) in self.iter().filter(|(_, _, symbol)| symbol.len() < SYMBOL_CSTR_LEN) {
            let interval = MappingInterval {
                start_date: date_of(at.start),
                end_date: if at.end == u64::MAX { Date::MAX } else { date_of(at.end) },
                symbol: id.to_string(),
            };
            by_symbol.entry(symbol).or_default().push(interval);
        }
        let mapping = |(symbol, mut intervals): (&str, Vec<MappingInterval>)| {
            intervals.sort_unstable_by(|a, b| (a.start_date, &a.symbol).cmp(&(b.start_date, &b.symbol)));
            SymbolMapping { raw_symbol: symbol.to_owned(), intervals }
        };
        by_symbol.into_iter().map(mapping).collect()
    }

    /// Takes over a live stream's mapping record, of either length that DBN has known.
    pub(crate) fn add_record(&mut self, record: &[u8]) {
        use dbn::{SymbolMappingMsg as V2, v1::SymbolMappingMsg as V1};
        let at = if record.len() >= size_of::<V2>() {
            offset_of!(V2, stype_out_symbol)..offset_of!(V2, start_ts)
        } else if record.len() >= size_of::<V1>() {
            offset_of!(V1, stype_out_symbol)..offset_of!(V1, start_ts)
        } else {
            return;
        };
        let instrument_id = u32::from_le_bytes([record[4], record[5], record[6], record[7]]);
        if let Some(symbol) = CStr::from_bytes_until_nul(&record[at]).ok().and_then(|symbol| symbol.to_str().ok()) {
            self.insert(instrument_id, 0..u64::MAX, symbol);
        }
    }
}

/// A live stream's mapping as DBN 3 has it, without `ts_out`; nothing if it is none.
pub(crate) fn mapping_record(record: &[u8]) -> Option<[u8; size_of::<dbn::SymbolMappingMsg>()]> {
    use dbn::{SymbolMappingMsg as V2, v1::SymbolMappingMsg as V1};
    let mut out = [0; size_of::<V2>()];
    if record.len() >= size_of::<V2>() {
        out.copy_from_slice(&record[..size_of::<V2>()]);
    } else if record.len() >= size_of::<V1>() {
        let mut copy = |from: Range<usize>, to: usize| out[to..to + from.len()].copy_from_slice(&record[from]);
        copy(0..16, 0);
        copy(offset_of!(V1, stype_in_symbol)..offset_of!(V1, stype_out_symbol), offset_of!(V2, stype_in_symbol));
        copy(offset_of!(V1, stype_out_symbol)..offset_of!(V1, _dummy), offset_of!(V2, stype_out_symbol));
        copy(offset_of!(V1, start_ts)..size_of::<V1>(), offset_of!(V2, start_ts));
        (out[offset_of!(V2, stype_in)], out[offset_of!(V2, stype_out)]) = (u8::MAX, u8::MAX);
    } else {
        return None;
    }
    out[0] = (out.len() / 4) as u8;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_at_hand_wins_and_the_last_one_stays() {
        let mut symbols = Symbols::default();
        symbols.insert(1, 100..200, "OLD");
        symbols.insert(1, 300..400, "NEW");
        let at = |ts_ns| symbols.get(1, ts_ns).map(|symbol| symbol.to_string());
        assert_eq!(at(150).as_deref(), Some("OLD"));
        assert_eq!(at(300).as_deref(), Some("NEW"));
        assert_eq!(at(250).as_deref(), Some("NEW"), "between intervals: the last one known");
        assert_eq!(symbols.get(2, 150), None);
        symbols.insert(1, 0..u64::MAX, "LIVE");
        assert_eq!(symbols.get(1, 250).map(|symbol| &**symbol), Some("LIVE"));
        assert_eq!(symbols.get(1, 150).map(|symbol| &**symbol), Some("OLD"));
        assert_eq!(symbols.ids("NEW").collect::<Vec<_>>(), [1]);
    }

    /// Each new interval once looked through all before it: these took a quarter of an hour.
    #[test]
    fn a_million_intervals_of_one_instrument() {
        let mut symbols = Symbols::default();
        for start in 0..1_000_000 {
            symbols.insert(1, start..start + 1, "S");
        }
        assert_eq!(symbols.iter().count(), 1_000_000);
    }
}
