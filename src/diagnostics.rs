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

/// Longer lines are shown in part.
const MAX_LINE_CHARS: usize = 120;
/// How much of a longer line is shown left of the place.
const LEAD_CHARS: usize = 40;

fn render_place(out: &mut String, file: &SourceFile, span: Span, label: Option<&str>) {
    let text = &file.text;
    let start = floor_char_boundary(text, span.start);
    let end = floor_char_boundary(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    let number = (text[..start].matches('\n').count() + 1).to_string();
    let line = text[line_start..line_end].trim_end_matches('\r');
    let before = text[line_start..start].chars().count();
    let marked = text[start..end.min(line_start + line.len()).max(start)].chars().count();
    let shown = Excerpt::of(line, before);
    let gutter = " ".repeat(number.len());
    let carets = "^".repeat(marked.clamp(1, MAX_LINE_CHARS));
    let label = label.map(|l| format!(" {l}")).unwrap_or_default();
    let _ = writeln!(out, "{gutter}--> {}:{number}:{}", file.name, before + 1);
    let _ = writeln!(out, "{number} | {}", shown.text);
    let _ = writeln!(out, "{gutter} | {}{carets}{label}", shown.indent);
}

/// A line, or the part of a long one around a place, and what stands below the
/// text before that place.
struct Excerpt {
    text: String,
    indent: String,
}

impl Excerpt {
    fn of(line: &str, before: usize) -> Self {
        let length = line.chars().count();
        let skipped = if length <= MAX_LINE_CHARS || before <= LEAD_CHARS {
            0
        } else {
            before - LEAD_CHARS
        };
        let mut text: String = line.chars().skip(skipped).take(MAX_LINE_CHARS).collect();
        let blank = |c| if c == '\t' { '\t' } else { ' ' };
        let mut indent: String = text.chars().take(before - skipped).map(blank).collect();
        if skipped > 0 {
            text.insert(0, '…');
            indent.insert(0, ' ');
        }
        if skipped + MAX_LINE_CHARS < length {
            text.push('…');
        }
        Self { text, indent }
    }
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
        .filter(|(distance, _)| *distance <= allowed && *distance < wanted.chars().count())
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

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}here{}", "a".repeat(100), "b".repeat(200));
        let file = SourceFile { name: "q.sql".into(), text: text.into() };
        let rendered = Diagnostic::error("wrong").at(Span::new(100, 104)).render(&file);
        let expected = format!(
            "error: wrong\n --> q.sql:1:101\n1 | …{}here{}…\n  | {}^^^^\n",
            "a".repeat(40),
            "b".repeat(76),
            " ".repeat(41),
        );
        assert_eq!(rendered, expected);
    }

    #[test]
    fn only_a_near_name_is_meant() {
        assert_eq!(closest("STRNG", ["STRING", "INT"]), Some("STRING"));
        assert_eq!(closest("b", ["a"]), None);
        assert_eq!(closest("colour", ["flavour"]), None);
    }
}
