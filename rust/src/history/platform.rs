//! What systems do in ways of their own: bytes at a place of a file, names that are durable, a thread that gives way.

use std::{fs::File, io, path::Path};

#[cfg(unix)]
pub(crate) use std::os::unix::fs::FileExt;
#[cfg(windows)]
pub(crate) use windows::FileExt;

/// A quarter of the share of others while all processors are busy.
#[cfg(target_os = "linux")]
const NICENESS: libc::c_int = 6;

/// Makes the entries of a folder durable: which names there are, and of what.
///
/// Windows opens no folder as a file, and gives programs nothing else to wait for. NTFS has names in its journal, so after
/// a power failure the newest ones may be missing and all others are whole; a reader and a restart know that from files
/// whose index was not durable yet.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(path)?.sync_all() }
}

/// Lowers the priority of this thread. Where that is not allowed, or only of the whole process, nothing is lost but time.
pub(crate) fn give_way() {
    // On Linux a niceness is a thread's own, elsewhere the whole process would get it.
    #[cfg(target_os = "linux")]
    // SAFETY: it takes numbers only; 0 is the calling thread.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS);
    }
}

#[cfg(windows)]
mod windows {
    use std::{fs::File, io, os::windows::fs::FileExt as _};

    /// As that of Unix, but for the file's own position, which moves along: whoever reads at places reads nowhere else.
    pub(crate) trait FileExt {
        fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
        fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    }

    impl FileExt for File {
        fn read_exact_at(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
            while !bytes.is_empty() {
                match self.seek_read(bytes, offset)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => {
                        bytes = &mut bytes[read..];
                        offset += read as u64;
                    }
                }
            }
            Ok(())
        }

        fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
            while !bytes.is_empty() {
                match self.seek_write(bytes, offset)? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => {
                        bytes = &bytes[written..];
                        offset += written as u64;
                    }
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn bytes_are_read_and_written_at_their_place() {
        let path = std::env::temp_dir().join(format!("l3book-platform-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).expect("made");
        file.write_all_at(b"behind", 6).expect("beyond the end");
        file.write_all_at(b"before", 0).expect("written");
        let mut bytes = [0; 12];
        file.read_exact_at(&mut bytes, 0).expect("all of it");
        assert_eq!(&bytes, b"beforebehind");
        file.read_exact_at(&mut bytes[..3], 9).expect("its end");
        assert_eq!(&bytes[..3], b"ind");
        let beyond = file.read_exact_at(&mut bytes, 1).expect_err("one byte too many");
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        sync_folder(path.parent().expect("a folder")).expect("durable, as far as the system can");
        fs::remove_file(&path).expect("also while it is open");
    }
}
