//! One writer per history.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::fd::AsRawFd,
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
        // SAFETY: the descriptor is open for as long as `file` lives.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(HistoryError::io(&path)(error));
            }
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(HistoryError::Locked { dir: dir.into(), pid });
        }
        // For whoever comes later to read; a full disk is no reason not to lock.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}
