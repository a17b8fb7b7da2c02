//! What the author of a query can mend: a message with its place in the file
//! and a hint.
//!
//! Several are collected and shown at once. Nothing here prints; `cli` does.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A stretch of the script: byte offsets, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }
}

/// A value with the place it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A query file's text and name, shared by everything that points into it.
#[derive(Debug, Clone)]
pub struct SourceFile {
    pub name: Arc<str>,
    pub text: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One thing to tell the author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    pub span: Option<Span>,
    /// Said beside the carets, such as "not a column of `orders`".
    pub label: Option<String>,
    pub hints: Vec<String>,
}

impl Diagnostic {
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: None,
            hints: Vec::new(),
        }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Sets the place only if none is known yet.
    pub fn or_at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds "did you mean" when one of `known` is close to `unknown`.
    pub fn did_you_mean<'a>(
        self,
        unknown: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        match closest(unknown, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// The diagnostic as a person reads it, with the line of `file` it points
    /// at. Plain text; ends with a line break.
    pub fn render(&self, file: &SourceFile) -> String {
        let mut out = String::new();
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(out, "{severity}: {}", self.message);
        if let Some(span) = self.span {
            render_place(&mut out, file, span, self.label.as_deref());
        }
        for hint in &self.hints {
            let _ = writeln!(out, "hint: {hint}");
        }
        out
    }
}

fn render_place(out: &mut String, file: &SourceFile, span: Span, label: Option<&str>) {
    let text = &file.text;
    let start = floor_char_boundary(text, span.start);
    let end = floor_char_boundary(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    let line_number = text[..start].matches('\n').count() + 1;
    let column = text[line_start..start].chars().count() + 1;
    let line = text[line_start..line_end].trim_end_matches('\r');
    let number = line_number.to_string();
    let gutter = " ".repeat(number.len());
    let indent: String =
        text[line_start..start].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let marked = text[start..end.min(line_start + line.len()).max(start)].chars().count();
    let carets = "^".repeat(marked.max(1));
    let _ = writeln!(out, "{gutter}--> {}:{line_number}:{column}", file.name);
    let _ = writeln!(out, "{number} | {line}");
    let label = label.map(|l| format!(" {l}")).unwrap_or_default();
    let _ = writeln!(out, "{gutter} | {indent}{carets}{label}");
}

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The member of `known` nearest to `unknown`, if near enough to be meant.
/// Letters of another case are the same letter.
pub fn closest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = unknown.to_lowercase();
    let allowed = (wanted.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_shows_its_place_and_hint() {
        let file = SourceFile {
            name: "q.sql".into(),
            text: "-- top\nSELECT pirce FROM orders\n".into(),
        };
        let diagnostic = Diagnostic::error("unknown column `pirce`")
            .at(Span::new(14, 19))
            .label("not a column of `orders`")
            .did_you_mean("pirce", ["price", "orders"]);
        assert_eq!(
            diagnostic.render(&file),
            "error: unknown column `pirce`\n --> q.sql:2:8\n2 | SELECT pirce FROM orders\n  \
             |        ^^^^^ not a column of `orders`\nhint: did you mean `price`?\n"
        );
    }
}
