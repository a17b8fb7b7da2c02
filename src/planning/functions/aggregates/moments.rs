//! Count, mean and squared deviations of numbers, one at a time and merged.

/// What is known of the numbers seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    pub count: i64,
    pub mean: f64,
    /// The sum of the squared deviations from the mean.
    pub squares: f64,
}

impl Moments {
    /// Welford's recurrence.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let from_old = value - self.mean;
        self.mean += from_old / self.count as f64;
        self.squares += from_old * (value - self.mean);
    }

    /// Chan's formula for two disjoint sets of numbers.
    pub fn merge(&mut self, other: Moments) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let (ours, theirs, all) = (self.count as f64, other.count as f64, count as f64);
        let apart = other.mean - self.mean;
        self.mean += apart * (theirs / all);
        self.squares += other.squares + apart * apart * (ours * theirs / all);
        self.count = count;
    }
}

/// How far numbers lie apart, in one of SQL's four measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spread {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
}

impl Spread {
    /// `None` where there are too few numbers.
    pub fn of(self, moments: &Moments) -> Option<f64> {
        let divisor = match self {
            Spread::VarPop | Spread::StddevPop => moments.count,
            Spread::VarSamp | Spread::StddevSamp => moments.count - 1,
        };
        let variance = (divisor > 0).then(|| moments.squares / divisor as f64)?;
        Some(match self {
            Spread::VarPop | Spread::VarSamp => variance,
            Spread::StddevPop | Spread::StddevSamp => variance.sqrt(),
        })
    }
}
