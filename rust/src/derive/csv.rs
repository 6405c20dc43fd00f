//! Rows as CSV, by the format's own encoder: the same text as `DBNStore.to_csv` writes.

use dbn::{
    BboMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, TradeMsg,
    encode::{CsvEncoder, DbnEncodable, EncodeRecord, EncodeRecordTextExt},
};

use super::schema::Schema;

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub struct CsvOptions {
    /// Begin with the line of column names.
    pub header: bool,
    /// Prices as decimals, not in units of 1e-9.
    pub pretty_px: bool,
    /// Times as ISO 8601, not as ns.
    pub pretty_ts: bool,
    /// A last column with the symbol.
    pub map_symbols: bool,
}

/// A record of integers only, for which any bytes will do.
///
/// # Safety
/// Implement it for `repr(C)` types only, all of whose fields accept every bit pattern.
unsafe trait Plain: DbnEncodable + Copy {}

// SAFETY: integers, `c_char`, arrays of these, and `FlagSet`, which wraps a `u8`; all are `repr(C)`.
unsafe impl Plain for MboMsg {}
// SAFETY: as above.
unsafe impl Plain for Mbp10Msg {}
// SAFETY: as above.
unsafe impl Plain for Mbp1Msg {}
// SAFETY: as above.
unsafe impl Plain for BboMsg {}
// SAFETY: as above.
unsafe impl Plain for TradeMsg {}
// SAFETY: as above.
unsafe impl Plain for OhlcvMsg {}

/// The rows as text. `symbols` gives one per row, where that is asked for.
///
/// # Errors
/// If a row cannot be written: its action or side is no printable character.
pub(super) fn encode<'a>(
    schema: Schema,
    rows: &[u8],
    options: CsvOptions,
    symbols: impl Iterator<Item = Option<&'a str>>,
) -> dbn::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut encoder = CsvEncoder::builder(&mut text)
        .schema(Some(schema.dbn()))
        .write_header(options.header)
        .use_pretty_px(options.pretty_px)
        .use_pretty_ts(options.pretty_ts)
        .with_symbol(options.map_symbols)
        .build()?;
    let with_symbol = options.map_symbols;
    match schema {
        Schema::Mbo => each::<MboMsg>(&mut encoder, rows, with_symbol, symbols)?,
        Schema::Mbp10 => each::<Mbp10Msg>(&mut encoder, rows, with_symbol, symbols)?,
        Schema::Mbp1 | Schema::Tbbo => each::<Mbp1Msg>(&mut encoder, rows, with_symbol, symbols)?,
        Schema::Bbo1S | Schema::Bbo1M => each::<BboMsg>(&mut encoder, rows, with_symbol, symbols)?,
        Schema::Trades => each::<TradeMsg>(&mut encoder, rows, with_symbol, symbols)?,
        Schema::Ohlcv1S | Schema::Ohlcv1M | Schema::Ohlcv1H | Schema::Ohlcv1D => {
            each::<OhlcvMsg>(&mut encoder, rows, with_symbol, symbols)?;
        }
    }
    encoder.flush()?;
    drop(encoder);
    Ok(text)
}

fn each<'a, R: Plain>(
    encoder: &mut CsvEncoder<&mut Vec<u8>>,
    rows: &[u8],
    with_symbol: bool,
    mut symbols: impl Iterator<Item = Option<&'a str>>,
) -> dbn::Result<()> {
    for row in rows.chunks_exact(size_of::<R>()) {
        // SAFETY: the chunk has the size of R, the read is unaligned, and R accepts every bit pattern.
        let record = unsafe { row.as_ptr().cast::<R>().read_unaligned() };
        if with_symbol {
            encoder.encode_record_with_sym(&record, symbols.next().flatten())?;
        } else {
            encoder.encode_record(&record)?;
        }
    }
    Ok(())
}
