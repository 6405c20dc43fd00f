//! What can be wrong with a history.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a history cannot be read or recorded.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file or folder cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not what was written.
    #[error("{}, byte {offset}: {what}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where its damaged frame begins.
        offset: u64,
        /// The ordinal of that frame's first record.
        ordinal: u64,
        /// What was found, and what was expected.
        what: String,
    },
    /// Another recorder writes there.
    #[error("{}: another recorder writes there{}", dir.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// Who, if known.
        pid: Option<u32>,
    },
    /// What was asked for was not recorded, or is there no more.
    #[error("{}: {what}", dir.display())]
    NotRecorded {
        /// The folder.
        dir: PathBuf,
        /// What is missing.
        what: String,
    },
    /// What was asked for cannot be done.
    #[error("{}: {what}", dir.display())]
    Refused {
        /// The folder.
        dir: PathBuf,
        /// What was found, and what was expected.
        what: String,
    },
}

impl HistoryError {
    /// A time (ts_event, ns) of which the records are missing, from an ordinal on.
    pub(crate) fn in_hole(dir: &Path, at: u64, first: u64) -> Self {
        let what = format!("time {at}: it lies in a hole of the history that begins at ordinal {first}");
        Self::NotRecorded { dir: dir.into(), what }
    }

    /// Whether a file is not there, as one is that was removed.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// For `map_err`: an error of the system at this path.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { path: path.into(), error }
    }
}
