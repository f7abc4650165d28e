use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

/// Text that nobody has proved to be UTF-8: what a file has. It borrows the bytes that came in, or owns bytes that were made;
/// as a codec it is `utf8`, like `&str` and `String`. It derefs to its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'x>(Cow<'x, [u8]>);

impl<'x> Text<'x> {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, or where it is not UTF-8.
    pub fn to_str(&self) -> Result<&str, core::str::Utf8Error> {
        core::str::from_utf8(&self.0)
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Text<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<'x> From<&'x [u8]> for Text<'x> {
    #[inline]
    fn from(bytes: &'x [u8]) -> Self {
        Text(Cow::Borrowed(bytes))
    }
}

impl<'x> From<&'x str> for Text<'x> {
    fn from(text: &'x str) -> Self {
        Text(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Text<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Text(Cow::Owned(bytes))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text(Cow::Owned(text.into_bytes()))
    }
}
