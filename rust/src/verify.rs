//! A whole file, read once: its books built, proven, and described.
//!
//! ```text
//!                ┌► market ──► book ──┐
//! file ► decode ─┤                    ├─► compare after every event ─► Report
//!                └► naive (one a book)┘
//!                └► audit, periods, fifo, chain
//! ```
//!
//! - `oracle`: the book against the naive one, which shares no code with it; [`difference`]: where they part
//! - [`against`]: the book against the venue's own MBP-10, which `official` reads
//! - [`fifo`]: fills against the queues; [`periods`]: crossed, locked, suspect; [`audit`]: odd times and sequences
//! - [`chain`]: the running hash; `selection`: which books; `witness`: one book's share of all this; [`report`]: all of it
//!
//! A difference that only a check of everything has found is searched for in the file again: `narrow`.
//!
//! Everything runs on the caller's thread (decompression aside): the naive book takes its turn after ours. Reading goes
//! on after the first difference, for the rest of the report; comparing does not.

pub mod against;
pub mod audit;
pub mod chain;
pub mod difference;
pub mod fifo;
mod narrow;
mod official;
mod oracle;
pub mod periods;
pub mod report;
mod selection;
mod verifier;
mod witness;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use self::report::Report;
pub use self::{official::OfficialError, verifier::Verifier};
use crate::{
    book::SameSizeModify,
    decode::Decoder,
    market::Name,
    pieces::{PieceError, Pieces},
};

/// Events between two checks of everything, unless told.
pub const CHECK_EVERY_EVENTS: u64 = 50_000;

/// What to verify, and how closely.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a Modify without a change does.
    pub same_size: SameSizeModify,
    /// These books only.
    pub instrument: Option<Name>,
    /// The venue's own MBP-10 of the same records.
    pub against: Option<PathBuf>,
    /// Whether to hold every book against the naive one.
    pub with_oracle: bool,
    /// Events between two checks of everything, at least 1.
    pub check_every_events: u64,
    /// Everything is checked only after more events than this; 0 but to look closely at the end of a stream.
    pub check_after_events: u64,
    /// Events between two [`HashPoint`](report::HashPoint)s; none if 0.
    pub hash_every_events: u64,
    /// The naive book's own rule, where it is to differ from ours: a bug made on purpose.
    pub oracle_same_size: Option<SameSizeModify>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            same_size: SameSizeModify::default(),
            instrument: None,
            against: None,
            with_oracle: true,
            check_every_events: CHECK_EVERY_EVENTS,
            check_after_events: 0,
            hash_every_events: 0,
            oracle_same_size: None,
        }
    }
}

/// Which file cannot be read, and why.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The MBO file.
    #[error("{0}")]
    Mbo(io::Error),
    /// The MBP-10 file.
    #[error("{0}")]
    Mbp10(OfficialError),
}

/// A file on its way through a [`Verifier`].
pub struct Verification {
    path: PathBuf,
    options: Options,
    pieces: Pieces,
    decoder: Decoder,
    verifier: Verifier,
    damage: Option<String>,
    took: Duration,
}

impl Verification {
    /// Opens the file.
    ///
    /// # Errors
    /// If it cannot be opened, or is no regular file; or if the MBP-10 file cannot be read or is none.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        Ok(Self {
            path: path.to_owned(),
            options: options.clone(),
            pieces: Pieces::open(path).map_err(OpenError::Mbo)?,
            decoder: Decoder::new(),
            verifier: Verifier::new(options).map_err(OpenError::Mbp10)?,
            damage: None,
            took: Duration::ZERO,
        })
    }

    /// Goes on for about so many decompressed bytes; says whether that was the end. A fault in the file ends it, too:
    /// the report says so.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn step(&mut self, bytes: usize) -> io::Result<bool> {
        let start = Instant::now();
        let outcome = self.step_untimed(bytes);
        self.took += start.elapsed();
        match outcome {
            Ok(is_over) => Ok(is_over),
            Err(PieceError::Io(error)) => Err(error),
            Err(PieceError::Decode(fault)) => {
                self.damage = Some(fault.to_string());
                Ok(true)
            }
        }
    }

    fn step_untimed(&mut self, bytes: usize) -> Result<bool, PieceError> {
        let mut done = 0;
        while done < bytes {
            let piece = self.pieces.read()?;
            if piece.is_empty() {
                self.decoder.finish()?;
                return Ok(true);
            }
            done += piece.len();
            self.decoder.push(piece, &mut self.verifier)?;
        }
        Ok(false)
    }

    /// Bytes of the file read so far, and its length.
    #[must_use]
    pub fn progress_bytes(&self) -> (u64, u64) {
        (self.pieces.file_bytes(), self.pieces.size_bytes())
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let start = Instant::now();
        self.verifier.check_end();
        let narrowed = narrow::narrow(&self.path, &self.options, &self.verifier);
        let mut report = self.verifier.finish(self.path.display().to_string(), self.damage, self.took);
        report.difference = narrowed.or(report.difference);
        report.took_s += start.elapsed().as_secs_f64();
        report
    }
}
