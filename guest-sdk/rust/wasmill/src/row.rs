use crate::record::{Field, Millis, Record};
use crate::window::Window;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// Bytes of the null bitmap of n fields or elements.
const fn bitmap(n: usize) -> usize {
    n.div_ceil(64) * 8
}

#[inline]
fn u32_at(p: &[u8], at: usize) -> usize {
    u32::from_le_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]]) as usize
}

/// Reads cell i of the n that begin at `at`, with a null bitmap and a slot of 8 bytes each: a number in place, anything else as
/// its offset in p and its length.
#[inline(always)]
fn get<'x, T: Field<'x>>(p: &'x [u8], at: usize, n: usize, i: usize) -> T {
    if let Some(null) = T::null() {
        if p[at + i / 8] >> (i % 8) & 1 != 0 {
            return null;
        }
    }
    let slot = at + bitmap(n) + 8 * i;
    let slot = &p[slot..slot + 8];
    if T::FIXED {
        return T::decode(slot);
    }
    let (from, size) = (u32_at(slot, 0), u32_at(slot, 4));
    T::decode(&p[from..from + size])
}

/// Writes cell i of the n that begin at `at`, of the row or list that begins at `start`; cells are written in order.
#[inline(always)]
fn put<'x, T: Field<'x>>(to: &mut Vec<u8>, start: usize, at: usize, n: usize, i: usize, key: bool, value: &T) {
    if value.is_null() {
        to[at + i / 8] |= 1 << (i % 8);
        return;
    }
    let (slot, from) = (at + bitmap(n) + 8 * i, to.len());
    if key {
        value.append_key(to);
    } else {
        value.append(to);
    }
    if T::FIXED {
        to.copy_within(from..from + 8, slot);
        to.truncate(from);
        return;
    }
    let size = to.len() - from;
    to[slot..slot + 4].copy_from_slice(&((from - start) as u32).to_le_bytes());
    to[slot + 4..slot + 8].copy_from_slice(&(size as u32).to_le_bytes());
    to.resize(from + ((size + 7) & !7), 0);
}

/// A row of N fields, read where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowBytes<'x, const N: usize>(&'x [u8]);

impl<'x, const N: usize> RowBytes<'x, N> {
    /// Takes bytes that the host says to be a row of N fields.
    #[inline]
    pub fn new(bytes: &'x [u8]) -> Self {
        let least = bitmap(N) + 8 * N;
        assert!(bytes.len() >= least, "row of {} bytes (expected >= {least})", bytes.len());
        RowBytes(bytes)
    }

    /// Field i, from 0.
    #[inline]
    pub fn get<T: Field<'x>>(&self, i: usize) -> T {
        get(self.0, 0, N, i)
    }

    /// The bytes of the whole row.
    #[inline]
    pub fn bytes(&self) -> &'x [u8] {
        self.0
    }
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
        put(self.to, self.start, self.start, N, self.next, self.key, value);
        self.next += 1;
        self
    }
}

/// A list of a row's field, for those who make one. It is read as a [`ListRef`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List<T>(pub Vec<T>);

impl<'x, T: Field<'x>> List<T> {
    fn put_to(&self, to: &mut Vec<u8>, key: bool) {
        let (start, n) = (to.len(), self.0.len());
        to.extend_from_slice(&(n as u64).to_le_bytes()); // u32 elements, u32 zero
        to.resize(start + 8 + bitmap(n) + 8 * n, 0);
        for (i, v) in self.0.iter().enumerate() {
            put(to, start, start + 8, n, i, key, v);
        }
    }
}

impl<'x, T: Field<'x>> Field<'x> for List<T> {
    type Ref = ListRef<'x, T::Ref>;

    fn schema(to: &mut String) {
        to.push_str("list(");
        T::schema(to);
        to.push(')');
    }

    fn append(&self, to: &mut Vec<u8>) {
        self.put_to(to, false);
    }

    fn append_key(&self, to: &mut Vec<u8>) {
        self.put_to(to, true);
    }

    fn decode(bytes: &'x [u8]) -> Self {
        List(ListRef::<T>::decode(bytes).iter().collect())
    }
}

/// A list of a row's field, read where it lies.
#[derive(Debug)]
pub struct ListRef<'x, T> {
    bytes: &'x [u8],
    elements: PhantomData<fn() -> T>,
}

impl<T> Clone for ListRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ListRef<'_, T> {}

impl<'x, T: Field<'x>> ListRef<'x, T> {
    pub fn len(&self) -> usize {
        u32_at(self.bytes, 0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element i, from 0.
    pub fn get(&self, i: usize) -> T {
        get(self.bytes, 8, self.len(), i)
    }

    pub fn iter(self) -> impl Iterator<Item = T> + use<'x, T> {
        (0..self.len()).map(move |i| self.get(i))
    }
}

impl<'x, T: Field<'x>> Field<'x> for ListRef<'x, T> {
    type Ref = Self;

    fn schema(to: &mut String) {
        List::<T>::schema(to);
    }

    fn append(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.bytes);
    }

    fn append_key(&self, to: &mut Vec<u8>) {
        List(self.iter().collect()).append_key(to);
    }

    fn decode(bytes: &'x [u8]) -> Self {
        assert!(bytes.len() >= 8, "list of {} bytes (expected >= 8)", bytes.len());
        ListRef { bytes, elements: PhantomData }
    }
}

/// A number with S digits behind its point and P in all, as the number without its point: `Decimal::<12, 2>(-12345)` is -123.45.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const P: u8, const S: u8>(pub i128);

impl<'x, const P: u8, const S: u8> Field<'x> for Decimal<P, S> {
    type Ref = Self;

    fn schema(to: &mut String) {
        to.push_str(&format!("decimal({P}, {S})"));
    }

    fn append(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0.to_le_bytes());
    }

    fn decode(bytes: &'x [u8]) -> Self {
        Decimal(i128::from_le_bytes(bytes.try_into().unwrap_or_else(|_| panic!("decimal of {} bytes (expected 16)", bytes.len()))))
    }
}

/// Implements Field and Record for a type as a row. What the derive macro makes is of the same shape.
macro_rules! row {
    ($n:literal, $type:ty, [$($generic:ident),*], $ref:ty, $this:ident, $($i:tt $name:literal $field:ty = $value:expr),+; $make:expr) => {
        impl<'x, $($generic: Field<'x>),*> Field<'x> for $type {
            type Ref = $ref;

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
                let row = RowBytes::<$n>::new(bytes);
                let make: fn($($field),+) -> Self = $make;
                make($(row.get::<$field>($i)),+)
            }
        }

        impl<'x, $($generic: Field<'x>),*> Record<'x> for $type {}

        impl<'x, $($generic: Field<'x>),*> crate::Rows for $type {
            type Row = Self;
        }
    };
}
pub(crate) use row;

/// A result by key: what count, sum, reduce and aggregate make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyValue<K, V> {
    pub key: K,
    pub value: V,
}

row!(2, KeyValue<K, V>, [K, V], KeyValue<K::Ref, V::Ref>, this, 0 "key" K = this.key, 1 "value" V = this.value; |key, value| KeyValue { key, value });

/// A result by window and key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowed<K, V> {
    pub window: Window,
    pub key: K,
    pub value: V,
}

row!(4, Windowed<K, V>, [K, V], Windowed<K::Ref, V::Ref>, this,
    0 "start" Millis = Millis(this.window.start), 1 "end" Millis = Millis(this.window.end), 2 "key" K = this.key, 3 "value" V = this.value;
    |start, end, key, value| Windowed { window: Window { start: start.0, end: end.0 }, key, value });

/// Two records that have met in a join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair<A, B> {
    pub left: A,
    pub right: B,
}

row!(2, Pair<A, B>, [A, B], Pair<A::Ref, B::Ref>, this, 0 "left" A = this.left, 1 "right" B = this.right; |left, right| Pair { left, right });

row!(1, (A,), [A], (A::Ref,), this, 0 "f0" A = this.0; |a| (a,));
row!(2, (A, B), [A, B], (A::Ref, B::Ref), this, 0 "f0" A = this.0, 1 "f1" B = this.1; |a, b| (a, b));
row!(3, (A, B, C), [A, B, C], (A::Ref, B::Ref, C::Ref), this, 0 "f0" A = this.0, 1 "f1" B = this.1, 2 "f2" C = this.2; |a, b, c| (a, b, c));
row!(4, (A, B, C, D), [A, B, C, D], (A::Ref, B::Ref, C::Ref, D::Ref), this,
    0 "f0" A = this.0, 1 "f1" B = this.1, 2 "f2" C = this.2, 3 "f3" D = this.3; |a, b, c, d| (a, b, c, d));
