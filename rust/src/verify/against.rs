//! Our books against the venue's own MBP-10, row by row.

use serde::Serialize;

/// What the venue's own MBP-10 was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgainstReport {
    /// The file.
    pub file: String,
    /// Rows that agree.
    pub rows: u64,
}
