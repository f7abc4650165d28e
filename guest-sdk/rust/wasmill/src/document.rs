use crate::record::{Field, Record};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// One JSON value, read where it lies: what is not asked for is only skipped, and nothing is proved of it. The codec `json`. What
/// is no JSON has no fields, elements or values.
///
/// ```
/// use wasmill::Json;
///
/// let order = Json::from(r#"{"id": 7, "items": [{"name": "caf\u00e9", "price": 2.5}]}"#);
/// assert_eq!(order.get("id").and_then(|v| v.as_i64()), Some(7));
/// let names: Vec<_> = order.get("items").unwrap().items().filter_map(|item| item.get("name")?.as_str()).collect();
/// assert_eq!(names, ["café"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'x>(&'x [u8]);

impl<'x> From<&'x str> for Json<'x> {
    fn from(text: &'x str) -> Self {
        Json(text.as_bytes())
    }
}

impl<'x> From<&'x [u8]> for Json<'x> {
    fn from(bytes: &'x [u8]) -> Self {
        Json(bytes)
    }
}

impl<'x> Field<'x> for Json<'x> {
    type Ref = Self;

    fn schema(to: &mut String) {
        to.push_str("json");
    }

    fn append(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.0);
    }

    fn decode(bytes: &'x [u8]) -> Self {
        Json(bytes)
    }
}

impl<'x> Record<'x> for Json<'x> {}

impl<'x> Json<'x> {
    /// The bytes of the value.
    pub fn bytes(&self) -> &'x [u8] {
        self.0.trim_ascii()
    }

    /// A field of an object: the first of the name.
    pub fn get(&self, name: &str) -> Option<Json<'x>> {
        self.members().find(|(n, _)| n.is_text(name)).map(|(_, value)| value)
    }

    /// The fields of an object, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (Cow<'x, str>, Json<'x>)> + use<'x> {
        self.members().map_while(|(name, value)| Some((name.as_str()?, value)))
    }

    fn members(&self) -> impl Iterator<Item = (Json<'x>, Json<'x>)> + use<'x> {
        let mut rest = inside(self.bytes(), b'{', b'}');
        core::iter::from_fn(move || {
            let name = take(&mut rest)?;
            rest = rest.trim_ascii_start().strip_prefix(b":")?;
            let value = take(&mut rest)?;
            rest = behind_comma(rest);
            Some((Json(name), Json(value)))
        })
    }

    /// Whether it is the string of that text.
    fn is_text(&self, text: &str) -> bool {
        match self.0.strip_prefix(b"\"").and_then(|p| p.strip_suffix(b"\"")) {
            Some(plain) if plain == text.as_bytes() => !plain.contains(&b'\\'),
            Some(escaped) if escaped.contains(&b'\\') => self.as_str().is_some_and(|s| s == text),
            _ => false,
        }
    }

    /// The elements of an array.
    pub fn items(&self) -> impl Iterator<Item = Json<'x>> + use<'x> {
        let mut rest = inside(self.bytes(), b'[', b']');
        core::iter::from_fn(move || {
            let value = take(&mut rest)?;
            rest = behind_comma(rest);
            Some(Json(value))
        })
    }

    pub fn is_null(&self) -> bool {
        self.bytes() == b"null"
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.bytes() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// A number that is whole.
    pub fn as_i64(&self) -> Option<i64> {
        self.number()?.parse().ok()
    }

    pub fn as_f64(&self) -> Option<f64> {
        self.number()?.parse().ok()
    }

    fn number(&self) -> Option<&'x str> {
        let p = self.bytes();
        let digits = p.first().is_some_and(|c| c.is_ascii_digit() || *c == b'-');
        core::str::from_utf8(p).ok().filter(|_| digits)
    }

    /// A string, which is borrowed unless something in it is escaped.
    pub fn as_str(&self) -> Option<Cow<'x, str>> {
        let text = self.bytes().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let text = core::str::from_utf8(text).ok()?;
        if text.contains('\\') {
            return unescape(text).map(Cow::Owned);
        }
        Some(Cow::Borrowed(text))
    }
}

fn inside(p: &[u8], open: u8, close: u8) -> &[u8] {
    p.strip_prefix(&[open]).and_then(|p| p.strip_suffix(&[close])).unwrap_or_default()
}

fn behind_comma(rest: &[u8]) -> &[u8] {
    let rest = rest.trim_ascii_start();
    rest.strip_prefix(b",").unwrap_or(rest)
}

/// Takes one value off the front of rest; None when there is none.
fn take<'x>(rest: &mut &'x [u8]) -> Option<&'x [u8]> {
    let p = rest.trim_ascii_start();
    let end = match *p.first()? {
        b'"' => string_end(p)?,
        b'{' | b'[' => nested_end(p)?,
        _ => p.iter().position(|c| b",:]} \t\r\n".contains(c)).unwrap_or(p.len()),
    };
    *rest = &p[end..];
    (end > 0).then(|| &p[..end])
}

/// Where the string ends that p begins with.
fn string_end(p: &[u8]) -> Option<usize> {
    let mut i = 1;
    loop {
        i = quote_or_escape(p, i)?;
        if p[i] == b'"' {
            return Some(i + 1);
        }
        i += 2;
    }
}

/// Where the next quote or backslash is, eight bytes at a time: most of a document are texts.
fn quote_or_escape(p: &[u8], mut i: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    // the lowest byte that is marked is a zero of x; higher ones may be wrong
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & (ONES << 7);
    while let Some(eight) = p.get(i..i + 8).and_then(|eight| eight.try_into().ok()) {
        let word = u64::from_le_bytes(eight);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(i + found.trailing_zeros() as usize / 8);
        }
        i += 8;
    }
    p.get(i..)?.iter().position(|c| matches!(c, b'"' | b'\\')).map(|at| i + at)
}

/// Where the object or array ends that p begins with.
fn nested_end(p: &[u8]) -> Option<usize> {
    let (mut i, mut depth) = (0, 0);
    loop {
        match p.get(i)? {
            b'"' => i += string_end(&p[i..])? - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        i += 1;
        if depth == 0 {
            return Some(i);
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut to = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        to.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        to.push(match escape {
            b'"' | b'\\' | b'/' => escape as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => unicode(&mut rest)?,
            _ => return None,
        });
    }
    to.push_str(rest);
    Some(to)
}

/// Takes the digits behind \u, and those of the second half of a pair. Half a pair is U+FFFD.
fn unicode(rest: &mut &str) -> Option<char> {
    let digits = |p: &str| u32::from_str_radix(p.get(..4).filter(|d| d.bytes().all(|c| c.is_ascii_hexdigit()))?, 16).ok();
    let first = digits(rest)?;
    *rest = &rest[4..];
    if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (first, rest.strip_prefix("\\u").and_then(digits)) {
        *rest = &rest[6..];
        return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00));
    }
    Some(char::from_u32(first).unwrap_or('\u{fffd}'))
}

#[cfg(test)]
mod tests {
    use super::Json;
    use std::vec::Vec;

    #[test]
    fn values_are_read_where_they_lie() {
        let v = Json::from(r#" { "a" : 1, "b":[ -2.5e3,"x,]}\"" , {"c":null}, true,false ], "a": 9, "e\u0064": {} } "#);
        assert_eq!(v.get("a").unwrap().as_i64(), Some(1));
        let items: Vec<_> = v.get("b").unwrap().items().collect();
        assert_eq!(items.len(), 5);
        assert_eq!((items[0].as_f64(), items[0].as_i64()), (Some(-2500.0), None));
        assert_eq!(items[1].as_str().unwrap(), "x,]}\"");
        assert!(items[2].get("c").unwrap().is_null());
        assert_eq!((items[3].as_bool(), items[4].as_bool(), items[0].as_bool()), (Some(true), Some(false), None));
        assert_eq!(v.get("ed").unwrap().fields().count(), 0);
        assert!(v.get("none").is_none());
        assert!(v.get("a").unwrap().get("a").is_none());
    }

    #[test]
    fn strings_are_unescaped() {
        for (text, want) in [
            (r#""""#, Some("")),
            (r#""\"\\\/\b\f\n\r\t""#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r#""\u00e9\ud83d\udc33\ud83d!""#, Some("é🐳\u{fffd}!")),
            (r#""\ud83d\u0041""#, Some("\u{fffd}A")),
            (r#""\x""#, None),
            (r#""\u00g0""#, None),
            (r#""\u+123""#, None),
            (r#""\u00é""#, None),
            (r#""\"#, None),
            ("7", None),
        ] {
            assert_eq!(Json::from(text).as_str().as_deref(), want, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_text_is_found_at_every_place() {
        for n in 0..40 {
            let long = "x".repeat(n);
            for (inside, value) in [("", ""), ("\\\"", "\""), ("\\\\", "\\"), ("\u{e9}", "\u{e9}")] {
                let text = std::format!("[\"{long}{inside}{long}\",7]");
                let items: Vec<_> = Json::from(text.as_str()).items().collect();
                assert_eq!(items[0].as_str().as_deref(), Some(std::format!("{long}{value}{long}").as_str()), "{text}");
                assert_eq!(items[1].as_i64(), Some(7), "{text}");
            }
            assert!(Json::from(std::format!("[\"{long}").as_str()).items().next().is_none());
        }
    }

    #[test]
    fn what_is_no_json_is_nothing() {
        for text in [
            "", " ", "{", "}", "[", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":}", "[,]", "{:}", "[{]", "{]", "nul", "-", "\"\\", "[\"\\",
            "[\u{e9}",
        ] {
            let v = Json::from(text);
            assert!(v.get("a").is_none_or(|v| v.as_i64().is_none()), "{text}");
            assert!(v.items().all(|i| i.as_str().is_none() && i.as_f64().is_none()), "{text}");
            assert_eq!((v.as_i64(), v.as_str(), v.as_bool(), v.is_null()), (None, None, None, false), "{text}");
        }
    }
}
