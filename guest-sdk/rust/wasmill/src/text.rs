use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;
use core::str::Utf8Error;

/// Text that nobody has proved to be UTF-8: what a file has. It lies where it came in, or in a [`Scratch`](crate::Scratch); as a codec
/// it is `utf8`, like `&str`. It derefs to its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'x>(&'x [u8]);

impl<'x> Text<'x> {
    pub fn as_bytes(&self) -> &'x [u8] {
        self.0
    }

    /// The text, or where it is not UTF-8.
    pub fn to_str(&self) -> Result<&'x str, Utf8Error> {
        core::str::from_utf8(self.0)
    }
}

/// A [`Text`] that owns its bytes: what a reduce makes of two.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextBuf(Vec<u8>);

/// Has a text read as bytes, and made of bytes and of str.
macro_rules! text {
    ([$($life:lifetime)?] $name:ty, $new:path, $bytes:ty, $str:ty, $of_str:expr) => {
        impl<$($life)?> Deref for $name {
            type Target = [u8];

            #[inline]
            fn deref(&self) -> &[u8] {
                &self.0
            }
        }

        impl<$($life)?> AsRef<[u8]> for $name {
            #[inline]
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl<$($life)?> From<$bytes> for $name {
            #[inline]
            fn from(bytes: $bytes) -> Self {
                $new(bytes)
            }
        }

        impl<$($life)?> From<$str> for $name {
            #[inline]
            fn from(text: $str) -> Self {
                $new($of_str(text))
            }
        }
    };
}

text!(['x] Text<'x>, Text, &'x [u8], &'x str, str::as_bytes);
text!([] TextBuf, TextBuf, Vec<u8>, String, String::into_bytes);

impl<'x> From<&'x mut [u8]> for Text<'x> {
    fn from(bytes: &'x mut [u8]) -> Self {
        Text(bytes)
    }
}

impl From<Text<'_>> for TextBuf {
    fn from(text: Text) -> Self {
        TextBuf(text.0.to_vec())
    }
}
