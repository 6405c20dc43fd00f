//! Where a log is to begin: what lies before that was removed on purpose, and what lies behind it is missing where it is not there.
//!
//! A file of the log's folder holds the ordinal in 20 digits, a space, and the CRC-32 of those in 8. It is made with the first segment,
//! or at the next start where an earlier version recorded, and told anew before the oldest segments are removed. One that
//! is damaged, absent or cannot be read says nothing.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::{
    error::HistoryError,
    files::{make_folders, sync_folder},
    layout::log_path,
    platform::FileExt,
};

const NAME: &str = "kept-from";
const DIGITS: usize = 20;

fn path_of(dir: &Path) -> PathBuf {
    log_path(dir).join(NAME)
}

/// The ordinal, if one is told.
pub(super) fn read(dir: &Path) -> Option<u64> {
    parse(&fs::read(path_of(dir)).ok()?)
}

/// Tells it for as long as nothing else is told.
pub(super) fn begin(dir: &Path, ordinal: u64) -> Result<(), HistoryError> {
    if read(dir).is_none() { write(dir, ordinal) } else { Ok(()) }
}

/// Whether it could not be told because there is no room.
pub(super) fn is_no_room(error: &HistoryError) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, HistoryError::Io { error, .. } if [StorageFull, QuotaExceeded].contains(&error.kind()))
}

/// Tells it before the oldest segments go. Where there is no room for that they go all the same, which makes some, and
/// nothing is told.
pub(super) fn keep(dir: &Path, ordinal: u64) -> Result<(), HistoryError> {
    match write(dir, ordinal) {
        Err(error) if is_no_room(&error) => match fs::remove_file(path_of(dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HistoryError::io(&path_of(dir))(error)),
            _ => Ok(()),
        },
        told => told,
    }
}

/// Tells it durably: in place, as there may be no room for a second file.
fn write(dir: &Path, ordinal: u64) -> Result<(), HistoryError> {
    let (folder, path) = (log_path(dir), path_of(dir));
    make_folders(&folder)?;
    let told = || {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        file.write_all_at(text_of(ordinal).as_bytes(), 0)?;
        file.sync_all()
    };
    told().map_err(HistoryError::io(&path))?;
    sync_folder(&folder)
}

fn text_of(ordinal: u64) -> String {
    let digits = format!("{ordinal:0DIGITS$}");
    format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let ordinal = std::str::from_utf8(bytes.get(..DIGITS)?).ok()?.parse().ok()?;
    (text_of(ordinal).as_bytes() == bytes).then_some(ordinal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let whole = text_of(12_345).into_bytes();
        assert_eq!(parse(&whole), Some(12_345));
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "cut at {len}");
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[len] ^= 1 << bit;
                assert_eq!(parse(&bytes), None, "bit {bit} of byte {len}");
            }
        }
    }
}
