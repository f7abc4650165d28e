use crate::graph::Problem;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// Writes JSON by hand: the host compares the hash of a manifest, so its bytes are fixed by this file and not by a library's
/// version.
#[derive(Default)]
pub(crate) struct JsonWriter {
    pub out: String,
    comma: bool,                // something stands before in the same object or array
    pub at: usize,              // the operator that is written, or runs the function that is
    pub of: String,             // what is written, for people
    pub problems: Vec<Problem>, // with it
}

/// Says what is wrong with a duration that is not of whole milliseconds. call is what it was said to.
pub(crate) fn fraction(call: &str, d: Duration) -> Option<String> {
    (d.subsec_nanos() % 1_000_000 != 0).then(|| format!("{d:?} in {call} (expected whole milliseconds)"))
}

impl JsonWriter {
    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }

    #[inline(never)]
    fn key(&mut self, name: &str) {
        self.separate();
        self.quote(name);
        self.out.push(':');
    }

    /// Writes {...}, as the value of name, or as an element when name is empty.
    pub fn object(&mut self, name: &str, fields: impl FnOnce(&mut Self)) {
        self.nest(name, '{', '}', fields);
    }

    /// Writes [...] of what each writes of an item; without items only if it is wanted always.
    pub fn array<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, each: impl Fn(&mut Self, T)) {
        self.nest(name, '[', ']', |w| items.into_iter().for_each(|i| each(w, i)));
    }

    fn nest(&mut self, name: &str, open: char, close: char, inside: impl FnOnce(&mut Self)) {
        if name.is_empty() {
            self.separate();
        } else {
            self.key(name);
        }
        self.out.push(open);
        self.comma = false;
        inside(self);
        self.out.push(close);
        self.comma = true;
    }

    #[inline(never)]
    pub fn text(&mut self, name: &str, value: &str) {
        self.key(name);
        self.quote(value);
    }

    /// Writes the field unless it is empty; `number_or` unless it is zero; `flag_or` unless it is false.
    #[inline(never)]
    pub fn text_or(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    #[inline(never)]
    pub fn number(&mut self, name: &str, value: i64) {
        self.key(name);
        self.out.push_str(&value.to_string());
    }

    pub fn number_or(&mut self, name: &str, value: i64) {
        if value != 0 {
            self.number(name, value);
        }
    }

    /// Writes a duration in the milliseconds that manifests have, unless it is zero: what is lost there is a problem.
    #[inline(never)]
    pub fn millis_or(&mut self, name: &str, call: &str, d: Duration) {
        self.number_or(name, d.as_millis() as i64);
        self.problem_of(call, d);
    }

    pub fn problem_of(&mut self, call: &str, d: Duration) {
        if let Some(problem) = fraction(call, d) {
            self.problems.push((self.at, format!("{}: {problem}", self.of)));
        }
    }

    pub fn flag_or(&mut self, name: &str, value: bool) {
        if value {
            self.key(name);
            self.out.push_str("true");
        }
    }

    /// Writes a string, or a number, of an array.
    pub fn element(&mut self, text: &str) {
        self.separate();
        self.quote(text);
    }

    pub fn element_number(&mut self, n: i64) {
        self.separate();
        self.out.push_str(&n.to_string());
    }

    #[inline(never)]
    fn quote(&mut self, s: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.out.push('"');
        for c in s.chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\0'..='\x1f' => {
                    let digits = [HEX[c as usize >> 4], HEX[c as usize & 15]].map(char::from);
                    self.out.extend(['\\', 'u', '0', '0', digits[0], digits[1]]);
                }
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}
