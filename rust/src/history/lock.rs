//! One writer per history.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use super::{error::HistoryError, layout::lock_path};

/// A history's folder, locked for as long as this lives: also a killed process lets go of it.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

impl Lock {
    /// Locks the folder, which exists.
    pub(crate) fn take(dir: &Path) -> Result<Self, HistoryError> {
        let path = lock_path(dir);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(HistoryError::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(HistoryError::io(&path)(error)),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // On Windows nobody else can read what is locked.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(HistoryError::Locked { dir: dir.into(), pid });
            }
        }
        // For whoever comes later to read; a full disk is no reason not to lock.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}
