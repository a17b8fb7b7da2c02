//! The fields of a row, found by the keys of a JSON object.
//!
//! A producer writes the members of its objects in one order, with the same bytes
//! between two values. So what stood there is remembered, from the end of a value to
//! the beginning of the next, and compared before anything is looked for.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct Names {
    names: Vec<Box<str>>,
    /// Only where there are too many names to try one after the other.
    index: Option<HashMap<Box<str>, usize>>,
    habit: Vec<Habit>,
    /// How often it was something else.
    surprises: u32,
}

/// What stood in front of a value.
#[derive(Debug)]
struct Habit {
    text: Box<str>,
    /// Which field's value it was, if it is wanted.
    field: Option<usize>,
}

/// Up to this many names are compared one by one.
const MAX_NAMES_TO_TRY: usize = 16;
/// What is remembered: members, and bytes in front of each.
const MAX_HABITS: usize = 256;
const MAX_HABIT_BYTES: usize = 256;
/// After so many surprises another habit is looked for.
const MAX_SURPRISES: u32 = 1000;

impl Names {
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<Box<str>> = names.map(Box::from).collect();
        let index = (names.len() > MAX_NAMES_TO_TRY)
            .then(|| names.iter().cloned().enumerate().map(|(i, n)| (n, i)).collect());
        Self { names, index, habit: Vec::new(), surprises: 0 }
    }

    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// The field `key` names; `guess` is tried first, because producers write
    /// keys in one order.
    pub fn find(&self, key: &str, guess: usize) -> Option<usize> {
        if self.names.get(guess).is_some_and(|name| **name == *key) {
            return Some(guess);
        }
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.names.iter().position(|name| **name == *key),
        }
    }

    /// If `text` begins with what usually stands in front of the value of that
    /// member: how long that is, and which field it is of.
    #[inline]
    pub fn habitual(&self, member: usize, text: &[u8]) -> Option<(usize, Option<usize>)> {
        let habit = self.habit.get(member)?;
        text.starts_with(habit.text.as_bytes()).then_some((habit.text.len(), habit.field))
    }

    /// Remembers what stood in front of the value of that member. Gives which
    /// member is likely to be next: never the first, the one without a comma.
    pub fn learn(&mut self, member: usize, text: &str, field: Option<usize>) -> usize {
        if member == self.habit.len() {
            if member < MAX_HABITS && text.len() <= MAX_HABIT_BYTES {
                self.habit.push(Habit { text: text.into(), field });
            }
            return self.habit.len().max(1);
        }
        self.surprises += 1;
        if self.surprises == MAX_SURPRISES {
            self.surprises = 0;
            self.habit.clear();
            return 1;
        }
        let known = self.habit.iter().skip(member).position(|habit| *habit.text == *text);
        known.map_or(member, |at| member + at + 1).max(1)
    }
}
