//! What a subscriber's symbols mean: which instruments of the tape, at which time.
//!
//! The files' metadata maps symbols of one type, usually raw symbols, to instrument_ids, from day to day. So symbols of
//! that type resolve as they are and instrument_ids by number. A parent resolves by the children's names where these
//! are raw symbols: `CL.FUT` are the symbols that begin with CL, a month letter and one or two digits and then end or
//! go on with neither letter, digit nor space (outrights, and the spreads that begin with one); `LO.OPT` those that
//! begin so and go on with a space, or have spaces behind the root. Anything else (continuous symbols of a file with
//! raw ones) would need knowledge that no file holds, and does not resolve. An instrument without metadata goes by its
//! instrument_id.

use std::{collections::HashSet, ops::Range, str::FromStr, sync::Arc};

use dbn::{Metadata, SType};

use crate::symbols::Symbols;

/// The symbols that the tape's files know.
#[derive(Clone, Default)]
pub(super) struct Names {
    symbols: Symbols,
    /// The type of these symbols.
    stype: Option<SType>,
}

impl Names {
    pub(super) fn add_metadata(&mut self, metadata: &Metadata) {
        self.symbols.add_metadata(metadata);
        let is_inverse = metadata.stype_in == Some(SType::InstrumentId);
        self.stype = if is_inverse { Some(metadata.stype_out) } else { metadata.stype_in }.or(self.stype);
    }

    pub(super) fn add_record(&mut self, record: &[u8]) {
        self.symbols.add_record(record);
    }

    fn stype(&self) -> SType {
        self.stype.unwrap_or(SType::RawSymbol)
    }

    /// What an instrument is called at a time, and while it is.
    pub(super) fn name(&self, instrument_id: u32, ts_ns: u64) -> (Arc<str>, Range<u64>) {
        match self.symbols.get(instrument_id, ts_ns) {
            Some(name) => (name.clone(), self.symbols.span(instrument_id, ts_ns)),
            None => (instrument_id.to_string().into(), 0..u64::MAX),
        }
    }
}

/// The instruments that a subscription means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    Named(HashSet<Arc<str>>),
    Numbered(HashSet<u32>),
    Parents(Vec<Parent>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    symbol: Arc<str>,
    root: String,
    is_option: bool,
}

impl Selection {
    /// Resolves symbols; also says which of them mean nothing here.
    pub(super) fn resolve(
        names: &Names,
        stype: &str,
        symbols: Option<&[String]>,
    ) -> Result<(Self, Vec<String>), String> {
        let stype_in = SType::from_str(stype).map_err(|_| format!("unknown stype_in {stype:?}"))?;
        let Some(symbols) = symbols else { return Ok((Self::All, Vec::new())) };
        if symbols.is_empty() {
            return Err("no symbols, expected at least one, or ALL_SYMBOLS".into());
        }
        let mut unresolved = Vec::new();
        let mut sift = |is_known: &mut dyn FnMut(&String) -> bool| {
            unresolved.extend(symbols.iter().filter(|symbol| !is_known(symbol)).cloned());
        };
        let is_bare = names.symbols.is_empty();
        let selection = match stype_in {
            SType::InstrumentId => {
                let mut ids = HashSet::new();
                sift(&mut |symbol| {
                    let id = symbol.parse().ok().filter(|id| is_bare || names.symbols.get(*id, 0).is_some());
                    id.map(|id| ids.insert(id)).is_some()
                });
                Self::Numbered(ids)
            }
            SType::Parent if names.stype() == SType::RawSymbol => {
                let mut parents = Vec::new();
                sift(&mut |symbol| {
                    let parent = Parent::of(symbol).filter(|parent| parent.has_children(names));
                    parent.map(|parent| parents.push(parent)).is_some()
                });
                Self::Parents(parents)
            }
            _ if stype_in == names.stype() => {
                let mut known = HashSet::new();
                sift(&mut |symbol| {
                    let is_number = || is_bare && symbol.parse::<u32>().is_ok();
                    let is_known = names.symbols.ids(symbol).next().is_some() || is_number();
                    if is_known {
                        known.insert(symbol.as_str().into());
                    }
                    is_known
                });
                Self::Named(known)
            }
            _ => {
                unresolved.extend_from_slice(symbols);
                Self::Named(HashSet::new())
            }
        };
        Ok((selection, unresolved))
    }

    /// The subscriber's symbol for an instrument that is called `name`, if it means that one.
    pub(super) fn symbol_for(&self, instrument_id: u32, name: &Arc<str>) -> Option<Arc<str>> {
        match self {
            Self::All => Some(name.clone()),
            Self::Named(symbols) => symbols.get(name).cloned(),
            Self::Numbered(ids) => ids.contains(&instrument_id).then(|| instrument_id.to_string().into()),
            Self::Parents(parents) => {
                parents.iter().find(|parent| parent.is_of(name)).map(|parent| parent.symbol.clone())
            }
        }
    }

    /// The instruments that it can mean by what the files know; none for all, who are too many to be told ahead.
    pub(super) fn instrument_ids(&self, names: &Names) -> Vec<u32> {
        let mut ids: Vec<u32> = match self {
            Self::All => Vec::new(),
            Self::Named(symbols) => symbols.iter().flat_map(|symbol| names.symbols.ids(symbol)).collect(),
            Self::Numbered(ids) => ids.iter().copied().collect(),
            Self::Parents(parents) => {
                let mappings = names.symbols.iter();
                let children = mappings.filter(|(_, _, name)| parents.iter().any(|parent| parent.is_of(name)));
                children.map(|(id, _, _)| id).collect()
            }
        };
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl Parent {
    fn of(symbol: &str) -> Option<Self> {
        let (root, kind) = symbol.rsplit_once('.')?;
        let is_option = match kind.to_ascii_uppercase().as_str() {
            "FUT" => false,
            "OPT" => true,
            _ => return None,
        };
        (!root.is_empty()).then(|| Self { symbol: symbol.into(), root: root.to_owned(), is_option })
    }

    fn has_children(&self, names: &Names) -> bool {
        names.symbols.iter().any(|(_, _, name)| self.is_of(name))
    }

    fn is_of(&self, name: &str) -> bool {
        const MONTHS: &[u8] = b"FGHJKMNQUVXZ";
        let Some(rest) = name.strip_prefix(self.root.as_str()).map(str::as_bytes) else { return false };
        if self.is_option && rest.first() == Some(&b' ') {
            return true;
        }
        let Some((month, rest)) = rest.split_first() else { return false };
        let year_digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let after = rest.get(year_digits);
        let ends_well = if self.is_option {
            after == Some(&b' ')
        } else {
            !matches!(after, Some(byte) if byte.is_ascii_alphanumeric() || *byte == b' ')
        };
        MONTHS.contains(month) && (1..=2).contains(&year_digits) && ends_well
    }
}
