//! From a file to final books, and what the same file costs others: the `dbn` crate, and zstd alone.

use std::{fs, io::Read, path::Path};

use dbn::{
    MboMsg,
    decode::{DbnDecoder, DecodeRecordRef},
};
use l3book::{event::Rules, feed::Feed, pieces::Pieces};

pub const CHUNK_BYTES: usize = 256 * 1024;

/// Reads, decodes and applies a whole file, as `Market.feed_file` does.
pub fn feed_file(path: &Path) -> Feed {
    let mut feed = Feed::new(Rules::default());
    let mut pieces = Pieces::open(path).expect("the file was just written");
    loop {
        let piece = pieces.read().expect("pieces");
        if piece.is_empty() {
            feed.finish().expect("a whole stream");
            return feed;
        }
        feed.feed(piece).expect("records");
    }
}

/// Decodes with the `dbn` crate and looks at one field of each record, as a consumer at least must.
pub fn dbn_crate(path: &Path) -> u64 {
    if path.extension().is_some_and(|extension| extension == "zst") {
        drain(DbnDecoder::new(inflating(path)).expect("metadata"))
    } else {
        drain(DbnDecoder::from_file(path).expect("metadata"))
    }
}

fn inflating(path: &Path) -> impl Read {
    zstd::Decoder::new(fs::File::open(path).expect("the file was just written")).expect("zstd")
}

fn drain(mut decoder: impl DecodeRecordRef) -> u64 {
    let mut seen = 0;
    while let Some(record) = decoder.decode_record_ref().expect("records") {
        seen ^= record.get::<MboMsg>().expect("MBO").order_id;
    }
    seen
}

/// Decompresses and looks at nothing.
pub fn inflate(path: &Path) -> u64 {
    let mut file = inflating(path);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        let read = file.read(&mut buffer).expect("zstd");
        if read == 0 {
            return total;
        }
        total += read as u64;
    }
}
