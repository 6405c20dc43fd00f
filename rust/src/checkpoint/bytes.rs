//! Numbers to and from bytes: little endian, or seven bits a byte where they are mostly small.

use super::{CheckpointError, Result};

/// No counter gets there in ten years of ten million records a second, and from there none overflows.
const COUNT_MAX: u64 = 1 << 52;
/// Bytes that 64 bits take, seven in each.
const VARINT_BYTES_MAX: u32 = 10;

/// What is written.
#[derive(Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bits, the first of `values` lowest.
    pub(crate) fn bits<const N: usize>(&mut self, values: [bool; N]) {
        const { assert!(N <= 8) };
        self.u8(values.iter().rev().fold(0, |bits, value| bits << 1 | u8::from(*value)));
    }

    #[inline]
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A difference, small in either direction.
    #[inline]
    pub(crate) fn signed(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    pub(crate) fn varints(&mut self, values: impl IntoIterator<Item = u64>) {
        for value in values {
            self.varint(value);
        }
    }

    pub(crate) fn optional(&mut self, value: Option<u64>) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            self.varint(value);
        }
    }

    /// Bytes behind their length.
    pub(crate) fn section(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }
}

/// What is read.
pub(crate) struct In<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> In<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError { offset: self.at, what: what.into() }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.damaged(format!("{len} more bytes expected, {} left", self.bytes.len() - self.at)));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[value]| value)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn bits<const N: usize>(&mut self) -> Result<[bool; N]> {
        let bits = self.u8()?;
        if u32::from(bits) >> N != 0 {
            return Err(self.damaged(format!("bits {bits:#b}, expected at most {N}")));
        }
        Ok(std::array::from_fn(|i| bits >> i & 1 == 1))
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        self.bits().map(|[value]| value)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for i in 0..VARINT_BYTES_MAX {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7F);
            if part << (7 * i) >> (7 * i) != part {
                break;
            }
            value |= part << (7 * i);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number of more than 64 bits"))
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Result<i64> {
        self.varint().map(|bits| (bits >> 1) as i64 ^ -((bits & 1) as i64))
    }

    pub(crate) fn varints<const N: usize>(&mut self) -> Result<[u64; N]> {
        let mut values = [0; N];
        for value in &mut values {
            *value = self.varint()?;
        }
        Ok(values)
    }

    /// Numbers that go on being counted up.
    pub(crate) fn counts<const N: usize>(&mut self) -> Result<[u64; N]> {
        let counts = self.varints()?;
        match counts.iter().find(|count| **count > COUNT_MAX) {
            Some(count) => Err(self.damaged(format!("a count of {count}, expected at most {COUNT_MAX}"))),
            None => Ok(counts),
        }
    }

    /// A number that must fit into fewer bits.
    pub(crate) fn narrow<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T> {
        let value = self.varint()?;
        T::try_from(value)
            .map_err(|_| self.damaged(format!("{what} {value}, expected at most {} bits", 8 * size_of::<T>())))
    }

    pub(crate) fn optional(&mut self) -> Result<Option<u64>> {
        if self.bool()? { self.varint().map(Some) } else { Ok(None) }
    }

    pub(crate) fn section(&mut self) -> Result<&'a [u8]> {
        let len = self.narrow("a length of")?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.section()?).map_err(|_| self.damaged("a text that is not UTF-8"))
    }

    /// Says that nothing more is expected.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.at != self.bytes.len() {
            return Err(self.damaged(format!("{} bytes too many", self.bytes.len() - self.at)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in prop::collection::vec((any::<u64>(), 0u32..64), 0..50)) {
            let values: Vec<u64> = values.iter().map(|(value, shift)| value >> shift).collect();
            let mut out = Out::default();
            for value in &values {
                out.varint(*value);
                out.signed(*value as i64);
                out.optional((*value % 3 > 0).then_some(*value));
            }
            let mut input = In::new(&out.0);
            for value in &values {
                prop_assert_eq!(input.varint(), Ok(*value));
                prop_assert_eq!(input.signed(), Ok(*value as i64));
                prop_assert_eq!(input.optional(), Ok((*value % 3 > 0).then_some(*value)));
            }
            prop_assert_eq!(input.finish(), Ok(()));
        }
    }

    #[test]
    fn numbers_that_are_too_long_are_refused() {
        assert_eq!(In::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]).varint(), Ok(u64::MAX));
        for last in [2, 0x81] {
            let bytes = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, last, 0];
            let refused = In::new(&bytes).varint().expect_err("too long");
            assert!(refused.what.contains("more than 64 bits"), "{refused}");
        }
        assert!(In::new(&[0x80]).varint().is_err());
        assert!(In::new(&[0x80, 0x80, 4]).narrow::<u16>("a key of").is_err());
        assert!(In::new(&[4]).bits::<2>().is_err());
    }
}
