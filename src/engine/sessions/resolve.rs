//! Which pieces make which sessions.

use std::collections::HashMap;

use super::index;
use super::pieces::Behind;
use crate::engine::watermark;

/// A piece as [`resolve`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    pub key: usize,
    pub first: i64,
    pub last: i64,
    pub behind: Option<Behind>,
}

/// A session's first and last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub first: i64,
    pub last: i64,
    /// The session that took this one in.
    into: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Session(usize),
    Late,
    Unjudged,
}

pub struct Resolved {
    pub sessions: Vec<Session>,
    /// For each piece.
    pub places: Vec<Place>,
}

impl Resolved {
    pub fn late(&self) -> u64 {
        self.places.iter().filter(|place| **place == Place::Late).count() as u64
    }

    pub fn unjudged(&self) -> impl Iterator<Item = usize> + '_ {
        let places = self.places.iter().enumerate();
        places.filter(|(_, place)| **place == Place::Unjudged).map(|(i, _)| i)
    }

    /// The pieces of the sessions that fire, or of those that do not, and the
    /// session of each.
    pub fn of(&self, firing: &[bool], fire: bool) -> (Vec<u32>, Vec<usize>) {
        let places = self.places.iter().enumerate();
        let wanted = places.filter_map(|(i, place)| match place {
            Place::Session(session) if firing[*session] == fire => Some((index(i), *session)),
            _ => None,
        });
        wanted.unzip()
    }
}

/// Forms sessions. `fires_at` gives the watermark at which a session with that
/// end fires. A row behind is judged once the watermark is past the one that
/// it came under, for then every row that decides about it is here.
pub fn resolve(
    pieces: &[Interval],
    gap: i64,
    fires_at: &impl Fn(i64) -> i64,
    watermark: i64,
) -> Resolved {
    let mut places = vec![Place::Unjudged; pieces.len()];
    let mut sessions: Vec<Session> = Vec::new();
    let mut order: Vec<usize> =
        (0..pieces.len()).filter(|i| pieces[*i].behind.is_none()).collect();
    order.sort_unstable_by_key(|i| (pieces[*i].key, pieces[*i].first));
    let mut key = None;
    for i in order {
        let piece = &pieces[i];
        match sessions
            .last_mut()
            .filter(|s| key == Some(piece.key) && piece.first <= s.last + gap)
        {
            Some(session) => session.last = session.last.max(piece.last),
            None => {
                let (first, last) = (piece.first, piece.last);
                sessions.push(Session { first, last, into: None });
            }
        }
        key = Some(piece.key);
        places[i] = Place::Session(sessions.len() - 1);
    }
    let judged = |i: &usize| {
        let behind = pieces[*i].behind;
        behind.is_some_and(|b| watermark == watermark::MAX || b.watermark < watermark)
    };
    let mut behind: Vec<usize> = (0..pieces.len()).filter(judged).collect();
    if behind.is_empty() {
        return Resolved { sessions, places };
    }
    behind.sort_unstable_by_key(|i| pieces[*i].behind);
    let mut by_key: HashMap<usize, Vec<usize>> = HashMap::new();
    for i in &behind {
        by_key.entry(pieces[*i].key).or_default();
    }
    for (i, place) in places.iter().enumerate() {
        if let (Place::Session(session), Some(of_key)) = (place, by_key.get_mut(&pieces[i].key))
            && !of_key.contains(session)
        {
            of_key.push(*session);
        }
    }
    for i in behind {
        let piece = &pieces[i];
        let came_under = piece.behind.expect("it is behind").watermark;
        let of_key = by_key.get_mut(&piece.key).expect("made above");
        let meets = |s: &Session| {
            s.first <= piece.last + gap
                && piece.first <= s.last + gap
                && fires_at(s.last + gap) > came_under
        };
        let met: Vec<usize> = of_key.iter().copied().filter(|s| meets(&sessions[*s])).collect();
        let Some(&home) = met.first() else {
            if fires_at(piece.last + gap) > came_under {
                let (first, last) = (piece.first, piece.last);
                sessions.push(Session { first, last, into: None });
                of_key.push(sessions.len() - 1);
                places[i] = Place::Session(sessions.len() - 1);
            } else {
                places[i] = Place::Late;
            }
            continue;
        };
        let first = met.iter().map(|s| sessions[*s].first).min().unwrap_or(piece.first);
        let last = met.iter().map(|s| sessions[*s].last).max().unwrap_or(piece.last);
        sessions[home].first = first.min(piece.first);
        sessions[home].last = last.max(piece.last);
        for other in &met[1..] {
            sessions[*other].into = Some(home);
        }
        of_key.retain(|s| !met[1..].contains(s));
        places[i] = Place::Session(home);
    }
    for place in &mut places {
        if let Place::Session(session) = place {
            while let Some(into) = sessions[*session].into {
                *session = into;
            }
        }
    }
    Resolved { sessions, places }
}
