//! `#[derive(Row)]` for the crate wasmill, which documents it. There is no dependency, so the struct is parsed by hand: named
//! fields, at most one lifetime.

use proc_macro::{Delimiter, TokenStream, TokenTree};

mod parse;

use parse::{Field, Struct};

/// Makes a struct a row. See [`wasmill::Row`](../wasmill/derive.Row.html).
#[proc_macro_derive(Row, attributes(row))]
pub fn row(input: TokenStream) -> TokenStream {
    let code = match Struct::parse(input) {
        Ok(s) => generate(&s),
        Err(problem) => format!("compile_error!({:?});", format!("derive(Row): {problem}")),
    };
    code.parse().expect("the code that derive(Row) makes is Rust")
}

/// The implementation for the struct, and the view of it that reads a row where it lies.
fn generate(s: &Struct) -> String {
    let (name, n) = (&s.name, s.fields.len());
    let generics = if s.lifetime { "<'x>" } else { "" };
    let view = format!("{name}Ref");
    let each = |f: &dyn Fn(usize, &Field) -> String| s.fields.iter().enumerate().map(|(i, field)| f(i, field)).collect::<String>();
    let schema = each(&|i, f| {
        let before = format!("{}{}: ", if i == 0 { "" } else { ", " }, f.schema_name());
        format!("to.push_str({before:?}); <{} as ::wasmill::Field<'x>>::schema(to);", f.kind)
    });
    let puts = each(&|_, f| format!(".put(&self.{})", f.name));
    let gets = each(&|i, f| format!("{}: row.get({i}),", f.name));
    let constants = each(&|_, f| {
        let (field, kind) = (f.row_name(), &f.kind);
        format!("{} {} const {}: ::wasmill::FieldOf<Self, {kind}> = ::wasmill::FieldOf::named(\"{field}\");", f.docs, s.visibility, f.constant())
    });
    let accessors = each(&|i, f| {
        format!("{} {} fn {}(&self) -> <{} as ::wasmill::Field<'x>>::Ref {{ self.0.get({i}) }}", f.docs, s.visibility, f.name, f.kind)
    });
    format!(
        "
        impl<'x> ::wasmill::Field<'x> for {name}{generics} {{
            type Ref = {view}<'x>;

            fn schema(to: &mut ::wasmill::export::String) {{
                to.push_str(\"row(\");
                {schema}
                to.push(')');
            }}

            #[inline]
            fn append(&self, to: &mut ::wasmill::export::Vec<u8>) {{
                ::wasmill::RowWriter::<{n}>::new(to){puts};
            }}

            #[inline]
            fn append_key(&self, to: &mut ::wasmill::export::Vec<u8>) {{
                ::wasmill::RowWriter::<{n}>::key(to){puts};
            }}

            #[inline]
            fn decode(bytes: &'x [u8]) -> Self {{
                let row = ::wasmill::RowBytes::<'x, {n}>::new(bytes);
                {name} {{ {gets} }}
            }}
        }}

        impl<'x> ::wasmill::Record<'x> for {name}{generics} {{}}

        impl{generics} ::wasmill::Rows for {name}{generics} {{
            type Row = Self;
        }}

        #[allow(dead_code)]
        impl{generics} {name}{generics} {{
            {constants}
        }}

        /// A row of [`{name}`], whose fields are read where they lie.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        {visibility} struct {view}<'x>(::wasmill::RowBytes<'x, {n}>);

        #[allow(dead_code)]
        impl<'x> {view}<'x> {{
            {accessors}

            /// All fields at once.
            {visibility} fn read(&self) -> {name}{generics} {{
                ::wasmill::Field::decode(self.0.bytes())
            }}
        }}

        impl<'x> ::wasmill::Field<'x> for {view}<'x> {{
            type Ref = Self;

            fn schema(to: &mut ::wasmill::export::String) {{
                <{name}{generics} as ::wasmill::Field<'x>>::schema(to);
            }}

            #[inline]
            fn append(&self, to: &mut ::wasmill::export::Vec<u8>) {{
                to.extend_from_slice(self.0.bytes());
            }}

            fn append_key(&self, to: &mut ::wasmill::export::Vec<u8>) {{
                ::wasmill::Field::append_key(&self.read(), to);
            }}

            #[inline]
            fn decode(bytes: &'x [u8]) -> Self {{
                {view}(::wasmill::RowBytes::new(bytes))
            }}
        }}

        impl<'x> ::wasmill::Record<'x> for {view}<'x> {{}}

        impl<'x> ::wasmill::Rows for {view}<'x> {{
            type Row = {name}{generics};
        }}
        ",
        visibility = s.visibility,
    )
}

/// The text of an attribute's group, and whether it is one of the kind: `row(name = "a")`.
fn attribute(tokens: &TokenStream, kind: &str) -> Option<TokenStream> {
    let mut tokens = tokens.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(g)))
            if name.to_string() == kind && g.delimiter() == Delimiter::Parenthesis =>
        {
            Some(g.stream())
        }
        _ => None,
    }
}
