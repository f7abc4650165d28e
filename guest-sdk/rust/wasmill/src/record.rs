use crate::copy::push;
use crate::fail::fail;
use crate::text::{Text, TextBuf};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A type that a field of a row can have: how its values become bytes, and back. `'x` is the lifetime of the bytes that a
/// value may borrow from.
pub trait Field<'x>: Clone + 'x {
    /// What a field of the type is read as where it lies: `&str` for a `String`, itself for most.
    type Ref: Field<'x>;

    /// A value is always 8 bytes, and in place in a row.
    const FIXED: bool = false;

    /// Appends the type as a schema names it: `utf8`, `i64?`, `row(a: i64)`.
    fn schema(to: &mut String);

    /// Appends the bytes of the value.
    fn append(&self, to: &mut Vec<u8>);

    /// Appends the bytes of the value as a key: the same key has the same bytes from every language.
    fn append_key(&self, to: &mut Vec<u8>) {
        self.append(to);
    }

    /// The bytes of the value as a key, in place if they lie somewhere, else written to `room`.
    fn key_bytes<'a>(&'a self, room: &'a mut Vec<u8>) -> &'a [u8] {
        room.clear();
        self.append_key(room);
        room
    }

    /// Makes a value of its bytes. Bytes that are none are a failure of the record.
    fn decode(bytes: &'x [u8]) -> Self;

    /// Whether the value is null; only an [`Option`] ever is.
    fn is_null(&self) -> bool {
        false
    }

    /// The null of the type, if it has one.
    fn null() -> Option<Self> {
        None
    }
}

/// A type that records, keys and states can have. An own type implements [`Field`] with the schema `bytes`, and this with a
/// codec of its own name, with a dot in it: `acme.order`. Rows are derived.
pub trait Record<'x>: Field<'x> {
    /// Appends the name of the codec: `utf8`, `row(a: i64)`, `acme.order`.
    fn codec(to: &mut String) {
        Self::schema(to);
    }
}

/// The name of the codec of T.
pub(crate) fn codec_of<'x, T: Record<'x>>() -> String {
    let mut name = String::new();
    T::codec(&mut name);
    name
}

/// Implements Field for a type of 8 bytes.
macro_rules! fixed {
    ($type:ty, $schema:literal, $to:expr, $key:expr, $from:expr) => {
        impl<'x> Field<'x> for $type {
            type Ref = Self;
            const FIXED: bool = true;

            fn schema(to: &mut String) {
                to.push_str($schema);
            }

            #[inline]
            fn append(&self, to: &mut Vec<u8>) {
                let bits: fn($type) -> u64 = $to;
                to.extend_from_slice(&bits(*self).to_le_bytes());
            }

            #[inline]
            fn append_key(&self, to: &mut Vec<u8>) {
                let bits: fn($type) -> u64 = $key;
                to.extend_from_slice(&bits(*self).to_le_bytes());
            }

            #[inline]
            fn decode(bytes: &'x [u8]) -> Self {
                let value: fn(u64) -> $type = $from;
                value(match bytes.try_into() {
                    Ok(eight) => u64::from_le_bytes(eight),
                    Err(_) => wrong_number(bytes.len()),
                })
            }
        }
    };
}

fixed!(i64, "i64", |v| v as u64, |v| v as u64, |bits| bits as i64);
fixed!(f64, "f64", f64::to_bits, key_float, f64::from_bits);
fixed!(Millis, "ms", |v| v.0 as u64, |v| v.0 as u64, |bits| Millis(bits as i64));
fixed!(bool, "bool", u64::from, u64::from, |bits| bits != 0);

impl Record<'_> for i64 {}
impl Record<'_> for f64 {}

/// As a record, a time is a number.
impl Record<'_> for Millis {
    fn codec(to: &mut String) {
        i64::codec(to);
    }
}

#[cold]
fn wrong_number(size: usize) -> u64 {
    fail(&format!("number of {size} bytes (expected 8)"));
    0
}

/// A time, in milliseconds since the Unix epoch: the type `ms` of a row's field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// A float as keys have it: one NaN, and no negative zero.
fn key_float(v: f64) -> u64 {
    if v.is_nan() {
        0x7ff8_0000_0000_0000
    } else if v == 0.0 {
        0
    } else {
        v.to_bits()
    }
}

/// Implements Field and Record for a type that is bytes in memory.
macro_rules! octets {
    ($type:ty, $ref:ty, $schema:literal, $from:expr) => {
        impl<'x> Field<'x> for $type {
            type Ref = $ref;

            fn schema(to: &mut String) {
                to.push_str($schema);
            }

            #[inline]
            fn append(&self, to: &mut Vec<u8>) {
                push(to, self.as_ref());
            }

            #[inline]
            fn key_bytes<'a>(&'a self, _: &'a mut Vec<u8>) -> &'a [u8] {
                self.as_ref()
            }

            #[inline]
            fn decode(bytes: &'x [u8]) -> Self {
                $from(bytes)
            }
        }

        impl<'x> Record<'x> for $type {}
    };
}

octets!(&'x [u8], Self, "bytes", |bytes| bytes);
octets!(Vec<u8>, &'x [u8], "bytes", <[u8]>::to_vec);
octets!(Cow<'x, [u8]>, &'x [u8], "bytes", Cow::Borrowed);
octets!(Text<'x>, Self, "utf8", Text::from);
octets!(TextBuf, Text<'x>, "utf8", |bytes| TextBuf::from(Text::from(bytes)));
octets!(&'x str, Self, "utf8", utf8);

impl<'x> Field<'x> for String {
    type Ref = &'x str;

    fn schema(to: &mut String) {
        to.push_str("utf8");
    }

    fn append(&self, to: &mut Vec<u8>) {
        push(to, self.as_bytes());
    }

    fn key_bytes<'a>(&'a self, _: &'a mut Vec<u8>) -> &'a [u8] {
        self.as_bytes()
    }

    fn decode(bytes: &'x [u8]) -> Self {
        utf8(bytes).into()
    }
}

impl<'x> Record<'x> for String {}

impl<'x> Field<'x> for Cow<'x, str> {
    type Ref = &'x str;

    fn schema(to: &mut String) {
        to.push_str("utf8");
    }

    fn append(&self, to: &mut Vec<u8>) {
        push(to, self.as_bytes());
    }

    fn key_bytes<'a>(&'a self, _: &'a mut Vec<u8>) -> &'a [u8] {
        self.as_bytes()
    }

    fn decode(bytes: &'x [u8]) -> Self {
        Cow::Borrowed(utf8(bytes))
    }
}

impl<'x> Record<'x> for Cow<'x, str> {}

/// The text that bytes are. The codec of that name promises text and does not prove it: a file may have anything.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => not_utf8(e.valid_up_to()),
    }
}

#[cold]
fn not_utf8(at: usize) -> &'static str {
    fail(&format!("text that is not UTF-8 at byte {at} (take it as Text, which may be anything)"));
    ""
}

/// A value, or null: only inside a row.
impl<'x, T: Field<'x>> Field<'x> for Option<T> {
    type Ref = Option<T::Ref>;
    const FIXED: bool = T::FIXED;

    fn schema(to: &mut String) {
        T::schema(to);
        to.push('?');
    }

    fn append(&self, to: &mut Vec<u8>) {
        if let Some(v) = self {
            v.append(to);
        }
    }

    fn append_key(&self, to: &mut Vec<u8>) {
        if let Some(v) = self {
            v.append_key(to);
        }
    }

    fn decode(bytes: &'x [u8]) -> Self {
        Some(T::decode(bytes))
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn null() -> Option<Self> {
        Some(None)
    }
}
