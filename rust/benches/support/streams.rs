//! The streams (a), (b) and (c) of the published figures, made once and kept under `target/bench/`.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use dbn::{MboMsg, Metadata, MetadataBuilder, SType, Schema, UNDEF_PRICE, encode::DbnMetadataEncoder, flags};
use l3book::record::{MBO_BYTES, mbo_bytes, read_mbo};

use super::generator::{FIRST_INSTRUMENT_ID, Generator};

/// Part of the file names: another number whenever the generator makes other bytes.
const GENERATION: u32 = 1;
const MESSAGES: usize = 5_000_000;
const QUICK_MESSAGES: usize = 500_000;
const CLX5_LOOPS: usize = 50;
const QUICK_CLX5_LOOPS: usize = 5;
const ZSTD_LEVEL: i32 = 3;
const SEED: u64 = 1;

/// Whether short streams will do: `L3BOOK_BENCH_QUICK=1`.
pub fn is_quick() -> bool {
    std::env::var("L3BOOK_BENCH_QUICK").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// The folder of streams and results.
pub fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    let folder = target.join("bench");
    fs::create_dir_all(&folder).expect("room under target/");
    folder
}

/// Records in memory, and the same as files.
pub struct Stream {
    /// `a`, `b` or `c`.
    pub name: &'static str,
    /// What it is, in words.
    pub what: String,
    /// The 56 bytes of each record.
    pub bytes: Vec<u8>,
    pub dbn: PathBuf,
    pub zst: PathBuf,
}

impl Stream {
    pub fn records(&self) -> impl Iterator<Item = MboMsg> + '_ {
        self.bytes.chunks_exact(MBO_BYTES).map(read_mbo)
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / MBO_BYTES
    }

    fn keep(name: &'static str, what: String, metadata: &Metadata, tag: &str, make: impl FnOnce() -> Vec<u8>) -> Self {
        let dbn = folder().join(format!("{name}-{tag}.dbn"));
        let zst = dbn.with_extension("dbn.zst");
        let mut header = Vec::new();
        DbnMetadataEncoder::new(&mut header).encode(metadata).expect("a Vec takes all");
        if let (Ok(file), true) = (fs::read(&dbn), zst.exists()) {
            return Self { name, what, bytes: file[header.len()..].to_vec(), dbn, zst };
        }
        let bytes = make();
        write_whole(&dbn, |file| file.write_all(&header).and_then(|()| file.write_all(&bytes)));
        write_whole(&zst, |file| {
            let mut packed = zstd::Encoder::new(file, ZSTD_LEVEL)?;
            packed.write_all(&header)?;
            packed.write_all(&bytes)?;
            packed.finish().map(drop)
        });
        Self { name, what, bytes, dbn, zst }
    }
}

/// Under another name until it is whole: a benchmark that was stopped must not leave half a stream behind.
fn write_whole(path: &Path, write: impl FnOnce(&mut BufWriter<fs::File>) -> io::Result<()>) {
    let unfinished = path.with_extension("unfinished");
    let mut file = BufWriter::new(fs::File::create(&unfinished).expect("room under target/"));
    write(&mut file).and_then(|()| file.flush()).expect("room under target/");
    fs::rename(&unfinished, path).expect("a rename within target/");
}

fn metadata(symbols: Vec<String>) -> Metadata {
    MetadataBuilder::new()
        .dataset("GLBX.MDP3".to_owned())
        .schema(Some(Schema::Mbo))
        .start(0)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .symbols(symbols)
        .build()
}

/// A snapshot and `messages` records after it (a few more: the last event is whole).
pub fn synthetic(instruments: u32, resting: usize, messages: usize) -> Vec<u8> {
    let mut generator = Generator::new(instruments, resting, SEED);
    generator.open();
    let end = generator.out.len() + messages * MBO_BYTES;
    while generator.out.len() < end {
        generator.step();
    }
    generator.out
}

/// Orders that the books are opened with. One large book settles at nine tenths of it, many small ones a little above:
/// at 18 thousand, and at 215 thousand.
pub fn opening_orders(instruments: u32) -> usize {
    if instruments == 1 { 20_000 } else { 2_000 * instruments as usize }
}

fn kept_synthetic(name: &'static str, instruments: u32) -> Stream {
    let messages = if is_quick() { QUICK_MESSAGES } else { MESSAGES };
    let what = format!("synthetic, {instruments} instrument{}", if instruments == 1 { "" } else { "s" });
    let symbols = (0..instruments).map(|number| format!("SYN{}", FIRST_INSTRUMENT_ID + number)).collect();
    Stream::keep(name, what, &metadata(symbols), &format!("{messages}-v{GENERATION}"), || {
        synthetic(instruments, opening_orders(instruments), messages)
    })
}

/// (b): one instrument.
pub fn b() -> Stream {
    kept_synthetic("b", 1)
}

/// (c): a hundred.
pub fn c() -> Stream {
    kept_synthetic("c", 100)
}

/// (a): a recording, again and again, with a Clear before each pass; or why it is not there.
pub fn a() -> Result<Stream, String> {
    let folder = std::env::var_os("L3BOOK_TEST_DATA").ok_or("L3BOOK_TEST_DATA is not set")?;
    let path = Path::new(&folder).join("clx5/CLX5_mbo.dbn");
    let file = fs::read(&path).map_err(|error| format!("clx5/CLX5_mbo.dbn in L3BOOK_TEST_DATA: {error}"))?;
    let metadata_bytes = file.get(4..8).ok_or("CLX5_mbo.dbn is too short for DBN")?;
    let header_bytes = 8 + u32::from_le_bytes(metadata_bytes.try_into().expect("four bytes")) as usize;
    let records = &file[header_bytes..];
    let loops = if is_quick() { QUICK_CLX5_LOOPS } else { CLX5_LOOPS };
    let mut clear = read_mbo(records);
    (clear.action, clear.side, clear.price) = (b'R' as _, b'N' as _, UNDEF_PRICE);
    (clear.size, clear.order_id) = (0, 0);
    clear.flags = dbn::FlagSet::new(flags::LAST | flags::BAD_TS_RECV);
    let what = format!("CLX5, {loops} times, with a Clear before each");
    Ok(Stream::keep("a", what, &metadata(vec!["CLX5".into()]), &format!("{loops}-v{GENERATION}"), || {
        [mbo_bytes(&clear).as_slice(), records].concat().repeat(loops)
    }))
}
