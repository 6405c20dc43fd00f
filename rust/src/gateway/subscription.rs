//! What a session's client has asked for.

use std::{collections::HashSet, str::FromStr};

use super::symbology::{Names, Selection};
use crate::{derive::Schema, market::Key};

/// A subscription as the client states it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Databento's name of it: `mbp-10`.
    pub schema: String,
    /// Databento's name of the symbols' type: `raw_symbol`.
    pub stype_in: String,
    /// `None`: all there are.
    pub symbols: Option<Vec<String>>,
    /// Only records with a ts_event (BBO schemas: ts_recv) from here on, ns.
    pub start_ns: Option<u64>,
    /// Begin with a snapshot of each book.
    pub is_snapshot: bool,
}

/// Where a subscription's records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// They are the tape's own.
    Tape,
    /// They are made from the tape's MBO records.
    Derived(Schema),
}

impl Origin {
    fn of(schema: &str, tape_schema: dbn::Schema) -> Result<Self, String> {
        let asked = dbn::Schema::from_str(schema).map_err(|_| format!("unknown schema {schema:?}"))?;
        if asked == tape_schema {
            return Ok(Self::Tape);
        }
        let derivable = if tape_schema == dbn::Schema::Mbo { &Schema::ALL[..] } else { &[] };
        derivable.iter().copied().find(|schema| schema.dbn() == asked).map(Self::Derived).ok_or_else(|| {
            let mut names = vec![tape_schema.as_str()];
            names.extend(derivable.iter().map(|schema| schema.name()).filter(|name| *name != tape_schema.as_str()));
            format!("schema {asked} cannot be made from the recorded {tape_schema}, expected {}", names.join(", "))
        })
    }
}

/// How far a subscription's snapshots are.
#[derive(Default)]
pub(super) struct Snapshots {
    /// The books of everything before the subscription's place have been looked at.
    pub(super) is_begun: bool,
    /// Sent.
    pub(super) done: HashSet<Key>,
    /// Due when the unfinished event of the book has ended. Until then it gets none of that book's records: they would
    /// be parts of an event whose beginning it has not seen.
    pub(super) waiting: HashSet<Key>,
}

pub(super) struct Subscription {
    pub(super) origin: Origin,
    pub(super) selection: Selection,
    pub(super) start_ns: u64,
    pub(super) snapshots: Option<Snapshots>,
}

impl Subscription {
    /// Understands a request; also says which symbols mean nothing here.
    pub(super) fn new(
        request: &Request,
        tape_schema: dbn::Schema,
        names: &Names,
    ) -> Result<(Self, Vec<String>), String> {
        let origin = Origin::of(&request.schema, tape_schema)?;
        if request.is_snapshot && (tape_schema, origin) != (dbn::Schema::Mbo, Origin::Tape) {
            return Err(format!("a snapshot of schema {}, expected mbo", request.schema));
        }
        if request.is_snapshot && request.start_ns.is_some() {
            return Err("both snapshot and start, expected one of them".into());
        }
        let (selection, unresolved) = Selection::resolve(names, &request.stype_in, request.symbols.as_deref())?;
        let snapshots = request.is_snapshot.then(Snapshots::default);
        Ok((Self { origin, selection, start_ns: request.start_ns.unwrap_or(0), snapshots }, unresolved))
    }

    /// Whether both are about the same records, snapshots aside.
    pub(super) fn wants_the_same(&self, other: &Self) -> bool {
        self.start_ns == other.start_ns && self.origin == other.origin && self.selection == other.selection
    }
}
