//! PARSE_URL, URL_ENCODE, URL_DECODE, as Java's classes of
//! `java.net` do it.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::super::function::{Function, Parameter};

use Parameter::Text;

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![parse_url(), url_encode(), url_decode()]
}

/// `PARSE_URL(url, part[, key])`, as `java.net.URL` takes a URL apart.
fn parse_url() -> Arc<ScalarUDF> {
    Function::new("parse_url", &[Text, Text, Text], DataType::Utf8View, |args| {
        let (urls, parts) = (args.texts(0)?, args.texts(1)?);
        let keys = args.texts_if_given(2)?;
        Ok(args.slice_texts(|row| {
            let url = Url::of(urls.get(row)?)?;
            let part = parts.get(row)?;
            match &keys {
                None => url.part(part),
                Some(keys) if part == "QUERY" => url.value_of(keys.get(row)?),
                Some(_) => None,
            }
        }))
    })
    .optional(1)
    .udf()
}

struct Url<'t> {
    protocol: &'t str,
    authority: &'t str,
    path: &'t str,
    /// The path with its query.
    file: &'t str,
    query: Option<&'t str>,
    reference: Option<&'t str>,
}

impl<'t> Url<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let (protocol, rest) = text.trim().split_once(':')?;
        if !matches!(protocol, "http" | "https" | "ftp" | "file" | "jar" | "mailto") {
            return None;
        }
        let (rest, reference) = match rest.split_once('#') {
            Some((rest, reference)) => (rest, Some(reference)),
            None => (rest, None),
        };
        let (authority, file) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        let (path, query) = match file.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (file, None),
        };
        Some(Url { protocol, authority, path, file, query, reference })
    }

    fn part(&self, name: &str) -> Option<&'t str> {
        match name {
            "PROTOCOL" => Some(self.protocol),
            "AUTHORITY" => Some(self.authority),
            "USERINFO" => self.authority.rsplit_once('@').map(|(user, _)| user),
            "HOST" => {
                let host = self.authority.rsplit_once('@').map_or(self.authority, |(_, h)| h);
                let port = host.rfind(':').filter(|at| !host[*at..].contains(']'));
                Some(&host[..port.unwrap_or(host.len())])
            }
            "PATH" => Some(self.path),
            "FILE" => Some(self.file),
            "QUERY" => self.query,
            "REF" => self.reference,
            _ => None,
        }
    }

    fn value_of(&self, key: &str) -> Option<&'t str> {
        let mut pairs = self.query?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(k, _)| *k == key).map(|(_, value)| value)
    }
}

/// As `java.net.URLEncoder`: a space becomes a plus.
fn url_encode() -> Arc<ScalarUDF> {
    Function::new("url_encode", &[Text], DataType::Utf8View, |args| {
        let texts = args.texts(0)?;
        Ok(args.write_texts(|row, out| {
            for byte in texts.get(row)?.bytes() {
                match byte {
                    b' ' => out.push('+'),
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                        out.push(char::from(byte));
                    }
                    other => write!(out, "%{other:02X}").expect("a String takes all"),
                }
            }
            Some(())
        }))
    })
    .udf()
}

/// NULL if an escape is broken.
fn url_decode() -> Arc<ScalarUDF> {
    Function::new("url_decode", &[Text], DataType::Utf8View, |args| {
        let texts = args.texts(0)?;
        Ok(args.write_texts(|row, out| {
            out.push_str(&decoded(texts.get(row)?)?);
            Some(())
        }))
    })
    .udf()
}

/// What is behind `%xx` and `+`; `None` if an escape is broken.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_javas() {
        let url = Url::of("http://u:p@example.com:80/a/b.html?q=1&r=2#top").expect("a URL");
        for (part, expected) in [
            ("HOST", Some("example.com")),
            ("PATH", Some("/a/b.html")),
            ("QUERY", Some("q=1&r=2")),
            ("REF", Some("top")),
            ("PROTOCOL", Some("http")),
            ("FILE", Some("/a/b.html?q=1&r=2")),
            ("AUTHORITY", Some("u:p@example.com:80")),
            ("USERINFO", Some("u:p")),
            ("X", None),
        ] {
            assert_eq!(url.part(part), expected, "{part}");
        }
        assert_eq!(url.value_of("r"), Some("2"));
        assert_eq!(decoded("a%20b+c%C3%A9"), Some("a b cé".to_owned()));
        assert_eq!(decoded("%2"), None);
    }
}
