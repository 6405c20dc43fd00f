//! Folders and files that are still there after a power failure.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use super::{error::HistoryError, platform};

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), HistoryError> {
    platform::sync_folder(path).map_err(HistoryError::io(path))
}

/// Makes a folder and those above it, each durable in its own.
pub(crate) fn make_folders(path: &Path) -> Result<(), HistoryError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folders(parent)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(HistoryError::io(path)(error));
            }
            _ => sync_folder(parent)?,
        }
    } else {
        fs::create_dir(path).map_err(HistoryError::io(path))?;
    }
    Ok(())
}

/// Replaces a file by these bytes, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), HistoryError> {
    let draft: PathBuf = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|error| {
        // On a full disk it would be in the way of what comes next.
        let _ = fs::remove_file(&draft);
        HistoryError::io(path)(error)
    })?;
    sync_folder(path.parent().expect("a file in a folder"))
}
