//! The levels that were named in the second that runs: a hash table that is small and emptied every second.

use crate::record::Side;

const PLACES_MIN: usize = 1024;
const FREE: u32 = u32::MAX;

/// A level that was named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) price: i64,
    /// Position of the book in the market.
    pub(super) book: u32,
    place: u32,
    pub(super) side: Side,
    /// Named since its row was last made.
    pub(super) is_fresh: bool,
}

/// Levels by (book, side, price).
pub(super) struct Touched {
    /// From hash to position in `touches`; a power of two of them, half of them free.
    places: Box<[u32]>,
    touches: Vec<Touch>,
}

impl Touched {
    pub(super) fn new() -> Self {
        Self { places: vec![FREE; PLACES_MIN].into(), touches: Vec::new() }
    }

    /// Prices are multiples of their tick, so the high half of the product says most. Nobody gains by prices that
    /// meet: they cost one second's time, and a book with as many levels costs more.
    #[inline(always)]
    fn home(&self, book: u32, side: Side, price: i64) -> usize {
        let key = price as u64 ^ u64::from(book * 2 + side as u32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let mixed = (key ^ key >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize & (self.places.len() - 1)
    }

    #[inline(always)]
    pub(super) fn add(&mut self, book: u32, side: Side, price: i64) {
        let mut place = self.home(book, side, price);
        loop {
            let at = self.places[place];
            if at == FREE {
                return self.add_at(Touch { price, book, place: place as u32, side, is_fresh: true });
            }
            let touch = &mut self.touches[at as usize];
            if (touch.price == price) & (touch.book == book) & (touch.side == side) {
                touch.is_fresh = true;
                return;
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }

    #[inline(never)]
    fn add_at(&mut self, touch: Touch) {
        self.places[touch.place as usize] = self.touches.len() as u32;
        self.touches.push(touch);
        if self.touches.len() * 2 > self.places.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.places = vec![FREE; self.places.len() * 2].into();
        for at in 0..self.touches.len() {
            let Touch { price, book, side, .. } = self.touches[at];
            let mut place = self.home(book, side, price);
            while self.places[place] != FREE {
                place = (place + 1) & (self.places.len() - 1);
            }
            self.places[place] = at as u32;
            self.touches[at].place = place as u32;
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Touch> {
        self.touches.iter_mut()
    }

    pub(super) fn clear(&mut self) {
        for touch in self.touches.drain(..) {
            self.places[touch.place as usize] = FREE;
        }
    }
}
