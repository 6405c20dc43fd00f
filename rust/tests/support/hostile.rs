//! Streams that are small, dense with collisions, and hostile, read from arbitrary bytes: eight for each record. Zero
//! bytes make the plainest record, so that whatever shrinks the bytes shrinks the stream.

use l3book::record::{MBO_BYTES, MboMsg, UNDEF_PRICE, flags, mbo_bytes, read_mbo};

pub const BYTES_PER_RECORD: usize = 8;
/// Of every stream's first record, ns.
pub const T0: u64 = 1_700_000_000_000_000_000;
/// In 1e-9 units.
pub const UNIT: i64 = 1_000_000_000;
/// The one age, in ns, at which an unfinished event is not yet overdue, but would be a nanosecond later.
pub const HELD_NS_MAX: u64 = 1_000_000_000;

/// Publishers and instruments that share one number each.
pub const KEYS: [(u16, u32); 4] = [(1, 1), (2, 1), (1, u32::MAX), (1, 2)];
const BAD_TS_RECV: u8 = 8;
const MBP: u8 = 16;
const PUBLISHER_SPECIFIC: u8 = 2;
/// Few ids, so that duplicates and unknown ids are common; multiples of 2^32 collide in a weak hash.
const ORDER_IDS: [u64; 9] = [1, 2, 3, 4, 0, 1 << 32, 1 << 33, 1 << 63, u64::MAX];
const PRICES: [i64; 4] = [100 * UNIT, 99 * UNIT, 100 * UNIT + 1, 101 * UNIT];
const FAR_PRICES: [i64; 6] = [0, -1, i64::MIN, i64::MIN + 1, UNDEF_PRICE - 1, UNDEF_PRICE];
const SIZES: [u32; 4] = [1, 2, 1, 3];
const FAR_SIZES: [u32; 4] = [0, u32::MAX, u32::MAX - 1, 0];
const FLAGS: [u8; 8] = [
    flags::LAST,
    flags::LAST,
    0,
    flags::LAST,
    0,
    flags::LAST | PUBLISHER_SPECIFIC,
    PUBLISHER_SPECIFIC | MBP,
    flags::LAST | BAD_TS_RECV,
];
/// Letters are plain records; `r` and `a` belong to a snapshot, `q` is a top-of-book quote, `d` carries
/// MAYBE_BAD_BOOK, `x` a bad action, `s` a bad side, `p` no price, `*` whatever flags and action its bytes say.
const KINDS: &[u8] = b"AAAAAAAAAAAAAAAAAAAAAAAACCCCCCCCCCCCMMMMMMMMMMMMMMMMMMMMTTFFNNRraaaaaqqqddxsp**";

fn pick<T: Copy>(choices: &[T], byte: u8) -> T {
    choices[usize::from(byte) % choices.len()]
}

/// A plain record: an event of its own, of the first book, at [`T0`].
pub fn record(action: u8, side: u8, price: i64, size: u32, order_id: u64, flags: u8) -> MboMsg {
    let mut bytes = [0u8; MBO_BYTES];
    bytes[0] = (MBO_BYTES / 4) as u8;
    bytes[1] = 0xA0;
    bytes[36] = flags;
    let mut record = read_mbo(&bytes);
    record.hd.publisher_id = KEYS[0].0;
    record.hd.instrument_id = KEYS[0].1;
    record.hd.ts_event = T0;
    record.ts_recv = T0 + 150;
    record.order_id = order_id;
    record.price = price;
    record.size = size;
    record.action = action as _;
    record.side = side as _;
    record
}

/// What lies between two records in time.
struct Clock {
    ts_event: u64,
    ts_recv: u64,
}

impl Clock {
    /// Mostly a few microseconds on; now and then back, to an end of the range, or on past the age at which an
    /// unfinished event is forced, or exactly to it.
    fn step(&mut self, byte: u8) -> (u64, u64) {
        let (ts_event, ts_recv) = (self.ts_event, self.ts_recv);
        self.ts_event = ts_event.wrapping_add(1_000);
        self.ts_recv = ts_recv.wrapping_add(1_000);
        match byte {
            0..=209 => {
                self.ts_event = ts_event.wrapping_add(u64::from(byte) * 10);
                self.ts_recv = ts_recv.wrapping_add(u64::from(byte) * 10);
            }
            210..=224 => self.ts_event = ts_event.wrapping_sub(5_000),
            225..=236 => self.ts_recv = ts_recv.wrapping_add(HELD_NS_MAX + 1),
            237..=244 => self.ts_recv = ts_recv.wrapping_add(HELD_NS_MAX),
            245..=249 => self.ts_recv = ts_recv.wrapping_sub(2 * HELD_NS_MAX),
            // Out of the range for this record only.
            250..=252 => return (u64::MAX, u64::MAX),
            253..=255 => return (0, 0),
        }
        (self.ts_event, self.ts_recv)
    }
}

fn one(raw: &[u8]) -> MboMsg {
    let (kind, price, size) = (pick(KINDS, raw[0]), raw[2], raw[3]);
    let (id, bits) = (raw[4], pick(&FLAGS, raw[5]));
    // An order mostly stays on one side and at one price: else no queue grows, and few records leave it where it is.
    let side = pick(b"BA", if raw[1] < 192 { id / 64 } else { raw[1] });
    let price = match price {
        0..=143 => PRICES[0],
        144..=223 => pick(&PRICES, price),
        224..=255 => pick(&FAR_PRICES[..5], price),
    };
    let size = if size >= 208 { pick(&FAR_SIZES, size) } else { pick(&SIZES, size) };
    let order_id = if id >= 128 { pick(&ORDER_IDS, id) } else { pick(&ORDER_IDS[..4], id) };
    let snapshot = flags::SNAPSHOT | BAD_TS_RECV;
    let snapshot = pick(&[snapshot, snapshot, snapshot | flags::LAST, flags::SNAPSHOT], raw[5]);
    let plain = |action| record(action, side, price, size, order_id, bits);
    match kind {
        b'R' => record(b'R', pick(b"NBA", raw[1]), UNDEF_PRICE, size, order_id, bits),
        b'r' => record(b'R', b'N', UNDEF_PRICE, 0, 0, snapshot),
        b'a' => record(b'A', side, price, size, order_id, snapshot),
        b'q' => {
            let price = if id % 4 == 3 { UNDEF_PRICE } else { price };
            record(b'A', side, price, size, order_id, bits | flags::TOB)
        }
        b'd' => record(pick(b"ACMTFNR?", id), side, price, size, order_id, bits | flags::MAYBE_BAD_BOOK),
        b'x' => plain(pick(b"aXz\0\xff", id)),
        b's' => record(pick(b"AM", id), pick(b"NX\0", raw[1]), price, size, order_id, bits),
        b'p' => record(pick(b"AM", id), side, UNDEF_PRICE, size, order_id, bits),
        b'*' => record(pick(b"AMCRTFN?", id), pick(b"BAN", raw[1]), pick(&FAR_PRICES, raw[2]), size, order_id, raw[5]),
        action => plain(action),
    }
}

/// The stream that these bytes say, over the first `books` of [`KEYS`].
pub fn records(bytes: &[u8], books: usize) -> Vec<MboMsg> {
    let mut clock = Clock { ts_event: T0, ts_recv: T0 + 150 };
    let stream = bytes.chunks_exact(BYTES_PER_RECORD).enumerate().map(|(n, raw)| {
        let mut record = one(raw);
        (record.hd.publisher_id, record.hd.instrument_id) = KEYS[usize::from(raw[7]) % books];
        (record.hd.ts_event, record.ts_recv) = clock.step(raw[6]);
        record.sequence = n as u32 * 3 / 2;
        record
    });
    stream.collect()
}

/// Records as a stream without metadata.
pub fn to_bytes(records: &[MboMsg]) -> Vec<u8> {
    records.iter().flat_map(mbo_bytes).copied().collect()
}
