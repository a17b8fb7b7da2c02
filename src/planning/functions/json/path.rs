//! A JSON path taken apart.

/// One step down a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    /// Counted from 0; a negative one from the end.
    Index(i64),
    /// `[*]`, `.*`
    All,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
    /// What is not there is empty, not an error; only if the path says so.
    pub(super) lax: bool,
}

impl Path {
    /// # Errors
    /// What is wrong with the path, for a person.
    pub(super) fn parse(text: &str) -> Result<Path, String> {
        let trimmed = text.trim();
        let bare = trimmed
            .strip_prefix("lax ")
            .or_else(|| trimmed.strip_prefix("strict "))
            .unwrap_or(trimmed)
            .trim_start();
        let wrong = |why: &str| format!("the JSON path '{text}' {why}");
        let mut rest =
            bare.strip_prefix('$').ok_or_else(|| wrong("does not begin with `$`"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).map_err(wrong)?;
            steps.push(step);
            rest = after;
        }
        Ok(Path { steps, lax: trimmed.starts_with("lax ") })
    }

    /// Whether it may lead to several values.
    pub(super) fn is_many(&self) -> bool {
        self.steps.contains(&Step::All)
    }
}

fn step(text: &str) -> Result<(Step, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('.') {
        if let Some(rest) = rest.strip_prefix('*') {
            return Ok((Step::All, rest));
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        if end == 0 {
            return Err("has an empty name; `..` is not supported");
        }
        if rest[..end].contains(['(', '?', '@']) {
            return Err("uses a filter or a function, which is not supported");
        }
        return Ok((Step::Name(rest[..end].to_owned()), &rest[end..]));
    }
    let inner =
        text.strip_prefix('[').ok_or("has something other than `.` or `[` after a step")?;
    if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (name, rest) =
            inner[1..].split_once(quote).ok_or("has a quote that is not closed")?;
        let rest = rest.strip_prefix(']').ok_or("has a `[` that is not closed")?;
        return Ok((Step::Name(name.to_owned()), rest));
    }
    let (index, rest) = inner.split_once(']').ok_or("has a `[` that is not closed")?;
    let step = match index.trim() {
        "*" => Step::All,
        number => Step::Index(number.parse().map_err(
            |_| "has an index that is no number; filters and slices are not supported",
        )?),
    };
    Ok((step, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_names_indexes_and_all() {
        let path = Path::parse("lax $.a['b c'][0][*].d").expect("a path");
        let name = |n: &str| Step::Name(n.to_owned());
        assert_eq!(path.steps, [name("a"), name("b c"), Step::Index(0), Step::All, name("d")]);
        assert!(path.is_many());
        assert_eq!(Path::parse("$").expect("a path").steps, []);
        for wrong in ["a", "$a", "$..a", "$.a[", "$.a[x]", "$.a[?(@.b)]", "$.length()"] {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
    }
}
