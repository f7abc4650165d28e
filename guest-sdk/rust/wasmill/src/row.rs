use crate::record::{Field, Millis, Record};
use crate::window::Window;
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes of the null bitmap of a row of n fields.
const fn bitmap(n: usize) -> usize {
    n.div_ceil(64) * 8
}

/// A row of N fields, read where it lies: a null bitmap, a slot of 8 bytes a field (a number in place, anything else as
/// offset and length), then what the offsets lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'x, const N: usize>(&'x [u8]);

impl<'x, const N: usize> Row<'x, N> {
    /// Takes bytes that the host says to be a row of N fields.
    #[inline]
    pub fn new(bytes: &'x [u8]) -> Self {
        let least = bitmap(N) + 8 * N;
        if bytes.len() < least {
            panic!("row of {} bytes (expected >= {least})", bytes.len());
        }
        Row(bytes)
    }

    /// Field i, from 0.
    #[inline]
    pub fn get<T: Field<'x>>(&self, i: usize) -> T {
        if let Some(null) = T::null() {
            if self.0[i / 8] >> (i % 8) & 1 != 0 {
                return null;
            }
        }
        let slot = bitmap(N) + 8 * i;
        let slot = &self.0[slot..slot + 8];
        if T::FIXED {
            return T::decode(slot);
        }
        let (at, size) = (u32_at(slot, 0), u32_at(slot, 4));
        T::decode(&self.0[at..at + size])
    }

    /// The bytes of the whole row.
    #[inline]
    pub fn bytes(&self) -> &'x [u8] {
        self.0
    }
}

#[inline]
fn u32_at(p: &[u8], at: usize) -> usize {
    u32::from_le_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]]) as usize
}

/// Writes a row of N fields, one after the other.
pub struct RowWriter<'a, const N: usize> {
    to: &'a mut Vec<u8>,
    start: usize,
    key: bool,
    next: usize,
}

impl<'a, const N: usize> RowWriter<'a, N> {
    /// Begins a row behind what `to` has already. Behind a field that is not written stands zero.
    #[inline]
    pub fn new(to: &'a mut Vec<u8>) -> Self {
        let start = to.len();
        to.resize(start + bitmap(N) + 8 * N, 0);
        RowWriter { to, start, key: false, next: 0 }
    }

    /// The same for a row that is a key.
    #[inline]
    pub fn key(to: &'a mut Vec<u8>) -> Self {
        RowWriter { key: true, ..Self::new(to) }
    }

    /// Writes the next field.
    #[inline]
    pub fn put<'x, T: Field<'x>>(&mut self, value: &T) -> &mut Self {
        let (i, at) = (self.next, self.to.len());
        self.next += 1;
        let slot = self.start + bitmap(N) + 8 * i;
        if value.is_null() {
            self.to[self.start + i / 8] |= 1 << (i % 8);
            return self;
        }
        if self.key {
            value.append_key(self.to);
        } else {
            value.append(self.to);
        }
        if T::FIXED {
            self.to.copy_within(at..at + 8, slot);
            self.to.truncate(at);
            return self;
        }
        let size = self.to.len() - at;
        self.to[slot..slot + 4].copy_from_slice(&((at - self.start) as u32).to_le_bytes());
        self.to[slot + 4..slot + 8].copy_from_slice(&(size as u32).to_le_bytes());
        self.to.resize(at + ((size + 7) & !7), 0);
        self
    }
}

/// Implements Field and Record for a type as a row. What the derive macro makes is of the same shape.
macro_rules! row {
    ($n:literal, $type:ty, [$($generic:ident),*], $this:ident, $($i:tt $name:literal $field:ty = $value:expr),+; $make:expr) => {
        impl<'x, $($generic: Field<'x>),*> Field<'x> for $type {
            fn schema(to: &mut String) {
                to.push_str("row(");
                $(
                    to.push_str(if $i > 0 { ", " } else { "" });
                    to.push_str(concat!($name, ": "));
                    <$field>::schema(to);
                )+
                to.push(')');
            }

            #[inline]
            fn append(&self, to: &mut Vec<u8>) {
                let $this = self;
                RowWriter::<$n>::new(to)$(.put(&$value))+;
            }

            #[inline]
            fn append_key(&self, to: &mut Vec<u8>) {
                let $this = self;
                RowWriter::<$n>::key(to)$(.put(&$value))+;
            }

            #[inline]
            fn decode(bytes: &'x [u8]) -> Self {
                let row = Row::<$n>::new(bytes);
                let make: fn($($field),+) -> Self = $make;
                make($(row.get::<$field>($i)),+)
            }
        }

        impl<'x, $($generic: Field<'x>),*> Record<'x> for $type {}
    };
}
pub(crate) use row;

/// A result by key: what count, sum, reduce and aggregate make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyValue<K, V> {
    pub key: K,
    pub value: V,
}

row!(2, KeyValue<K, V>, [K, V], this, 0 "key" K = this.key, 1 "value" V = this.value; |key, value| KeyValue { key, value });

/// A result by window and key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowed<K, V> {
    pub window: Window,
    pub key: K,
    pub value: V,
}

row!(4, Windowed<K, V>, [K, V], this,
    0 "start" Millis = Millis(this.window.start), 1 "end" Millis = Millis(this.window.end), 2 "key" K = this.key, 3 "value" V = this.value;
    |start, end, key, value| Windowed { window: Window { start: start.0, end: end.0 }, key, value });

row!(1, (A,), [A], this, 0 "f0" A = this.0; |a| (a,));
row!(2, (A, B), [A, B], this, 0 "f0" A = this.0, 1 "f1" B = this.1; |a, b| (a, b));
row!(3, (A, B, C), [A, B, C], this, 0 "f0" A = this.0, 1 "f1" B = this.1, 2 "f2" C = this.2; |a, b, c| (a, b, c));
row!(4, (A, B, C, D), [A, B, C, D], this,
    0 "f0" A = this.0, 1 "f1" B = this.1, 2 "f2" C = this.2, 3 "f3" D = this.3; |a, b, c, d| (a, b, c, d));
