//! The names of folders and files below a history's folder.

use std::path::{Path, PathBuf};

/// Nanoseconds of a day.
pub const DAY_NS: u64 = 86_400_000_000_000;
/// What a segment's file name ends with.
pub const SEGMENT_SUFFIX: &str = ".dbn.zst";
/// Of streams without metadata.
pub const DATASET_UNKNOWN: &str = "unknown";
/// Bytes of a dataset's name in DBN metadata.
const DATASET_BYTES_MAX: usize = 16;

/// The file that the one writer locks.
#[must_use]
pub fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// The folder of all segments.
#[must_use]
pub fn log_path(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The segment of a dataset and a day (days since 1970-01-01, UTC) that begins with this ordinal.
#[must_use]
pub fn segment_path(dir: &Path, dataset: &str, day: u64, first_ordinal: u64) -> PathBuf {
    log_path(dir).join(dataset).join(day_name(day)).join(format!("{first_ordinal:020}{SEGMENT_SUFFIX}"))
}

/// The file beside a segment with this extension: `index` or `orders`.
#[must_use]
pub fn beside(segment: &Path, extension: &str) -> PathBuf {
    segment.with_extension("").with_extension(extension)
}

/// `2025-09-30`, of days since 1970-01-01.
#[must_use]
pub fn day_name(day: u64) -> String {
    // 9999-12-31, the last date that the calendar of our dependencies knows.
    const DAY_MAX: u64 = 2_932_896;
    let epoch = time::Date::from_ordinal_date(1970, 1).expect("a date").to_julian_day();
    let date = time::Date::from_julian_day(epoch + day.min(DAY_MAX) as i32).expect("a date before 10000");
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// The ordinal in a segment's file name.
#[must_use]
pub fn ordinal_of(segment: &Path) -> Option<u64> {
    let name = segment.file_name()?.to_str()?.strip_suffix(SEGMENT_SUFFIX)?;
    (name.len() == 20).then(|| name.parse().ok())?
}

/// A dataset as the name of a folder: as it is, if it is one that could be.
#[must_use]
pub fn dataset_name(dataset: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name =
        (1..=DATASET_BYTES_MAX).contains(&dataset.len()) && dataset.bytes().all(is_plain) && !dataset.starts_with('.');
    if is_name { dataset } else { DATASET_UNKNOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_lead_back() {
        let path = segment_path(Path::new("/h"), "GLBX.MDP3", 20_361, 12_345);
        assert_eq!(path, Path::new("/h/log/GLBX.MDP3/2025-09-30/00000000000000012345.dbn.zst"));
        assert_eq!(ordinal_of(&path), Some(12_345));
        assert_eq!(beside(&path, "index"), Path::new("/h/log/GLBX.MDP3/2025-09-30/00000000000000012345.index"));
        assert_eq!(ordinal_of(Path::new("1.dbn.zst")), None);
        assert_eq!(day_name(0), "1970-01-01");
        assert_eq!(day_name(u64::MAX / DAY_NS), "2554-07-21");
    }

    #[test]
    fn a_dataset_that_is_no_plain_name_is_unknown() {
        for name in ["", "..", "a/b", ".hidden", "longer than 16 bytes", "ü"] {
            assert_eq!(dataset_name(name), DATASET_UNKNOWN, "{name}");
        }
        assert_eq!(dataset_name("XNAS.ITCH"), "XNAS.ITCH");
    }
}
