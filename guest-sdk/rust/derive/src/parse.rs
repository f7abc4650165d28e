//! The struct that a row is derived for.

use crate::attribute;
use proc_macro::{Delimiter, TokenStream, TokenTree};
use std::iter::Peekable;

pub struct Struct {
    pub name: String,
    pub visibility: String,
    pub lifetime: bool,
    pub fields: Vec<Field>,
}

pub struct Field {
    pub name: String,
    pub kind: String, // its type
    pub docs: String,
    row_name: String, // what the schema calls it, escaped
}

type Tokens = Peekable<proc_macro::token_stream::IntoIter>;

impl Struct {
    pub fn parse(input: TokenStream) -> Result<Struct, String> {
        let mut tokens = input.into_iter().peekable();
        let camel = settings(&attributes(&mut tokens).0)?.iter().any(|(key, value)| key == "rename_all" && value == "camelCase");
        let visibility = visibility(&mut tokens);
        match tokens.next() {
            Some(TokenTree::Ident(i)) if i.to_string() == "struct" => {}
            _ => return Err("it is for structs with named fields".into()),
        }
        let name = tokens.next().ok_or("a struct without a name")?.to_string();
        let lifetime = lifetime(&mut tokens)?;
        let body = match tokens.next() {
            Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace => g.stream(),
            _ => return Err(format!("{name}: it is for structs with named fields, and without where clauses")),
        };
        let fields = fields(body, camel)?;
        if fields.is_empty() || fields.len() > 1024 {
            return Err(format!("{name}: {} fields (expected 1 to 1024)", fields.len()));
        }
        Ok(Struct { name, visibility, lifetime, fields })
    }
}

impl Field {
    /// What the schema calls it, as a string of Rust has it between its quotes.
    pub fn row_name(&self) -> &str {
        &self.row_name
    }

    /// The name of the constant that names the field.
    pub fn constant(&self) -> String {
        self.name.trim_start_matches("r#").to_uppercase()
    }

    /// The name as a schema spells it: quoted when it is no plain one.
    pub fn schema_name(&self) -> String {
        let plain = |(i, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || i > 0 && c.is_ascii_digit();
        if self.row_name.chars().enumerate().all(plain) {
            return self.row_name.clone();
        }
        format!("\"{}\"", self.row_name) // schemas escape as Rust does
    }
}

fn fields(body: TokenStream, camel: bool) -> Result<Vec<Field>, String> {
    let mut tokens = body.into_iter().peekable();
    let mut all = Vec::new();
    while tokens.peek().is_some() {
        let (settings_of, docs) = attributes(&mut tokens);
        visibility(&mut tokens);
        let name = tokens.next().ok_or("a field without a name")?.to_string();
        match tokens.next() {
            Some(TokenTree::Punct(p)) if p.as_char() == ':' => {}
            _ => return Err(format!("field {name}: no type")),
        }
        let kind = kind(&mut tokens);
        let plain = name.trim_start_matches("r#").to_string();
        let mut row_name = if camel { camel_case(&plain) } else { plain };
        for (key, value) in settings(&settings_of)? {
            match key.as_str() {
                "name" => row_name = value,
                _ => return Err(format!("field {name}: setting {key:?} (expected name)")),
            }
        }
        all.push(Field { name, kind, docs, row_name });
    }
    Ok(all)
}

/// Takes attributes: the streams of those named row, and the text of doc comments.
fn attributes(tokens: &mut Tokens) -> (Vec<TokenStream>, String) {
    let (mut rows, mut docs) = (Vec::new(), String::new());
    while matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '#') {
        tokens.next();
        let Some(TokenTree::Group(g)) = tokens.next() else { break };
        match attribute(&g.stream(), "row") {
            Some(row) => rows.push(row),
            None if g.stream().to_string().starts_with("doc") => docs += &format!("#[{}]", g.stream()),
            None => {}
        }
    }
    (rows, docs)
}

/// Reads `key = "value"`, separated by commas.
fn settings(rows: &[TokenStream]) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for row in rows {
        let tokens: Vec<TokenTree> = row.clone().into_iter().collect();
        for setting in tokens.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ',')).filter(|s| !s.is_empty()) {
            let text: Vec<String> = setting.iter().map(|t| t.to_string()).collect();
            match text.as_slice() {
                [key, equals, value] if equals == "=" && value.len() >= 2 && value.starts_with('"') => {
                    all.push((key.clone(), value[1..value.len() - 1].to_string()))
                }
                _ => return Err(format!("{} (expected key = \"value\")", text.join(" "))),
            }
        }
    }
    Ok(all)
}

fn visibility(tokens: &mut Tokens) -> String {
    let mut text = String::new();
    if matches!(tokens.peek(), Some(TokenTree::Ident(i)) if i.to_string() == "pub") {
        text += &tokens.next().expect("pub").to_string();
        if matches!(tokens.peek(), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis) {
            text += &tokens.next().expect("a group").to_string();
        }
    }
    text
}

/// Takes generics: none, or the lifetime of the records.
fn lifetime(tokens: &mut Tokens) -> Result<bool, String> {
    if !matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '<') {
        return Ok(false);
    }
    let text: String = tokens.by_ref().take(4).map(|t| t.to_string()).collect();
    if text != "<'x>" {
        return Err(format!("generics {text} (expected none, or the lifetime 'x)"));
    }
    Ok(true)
}

/// Takes the tokens of a type, and the comma behind it.
fn kind(tokens: &mut Tokens) -> String {
    let (mut text, mut depth) = (TokenStream::new(), 0);
    for t in tokens.by_ref() {
        if let TokenTree::Punct(p) = &t {
            match p.as_char() {
                '<' => depth += 1,
                '>' => depth -= 1,
                ',' if depth == 0 => break,
                _ => {}
            }
        }
        text.extend([t]);
    }
    text.to_string()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').filter(|w| !w.is_empty());
    let mut camel = words.next().unwrap_or_default().to_string();
    for w in words {
        let mut letters = w.chars();
        camel.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        camel.extend(letters);
    }
    camel
}
