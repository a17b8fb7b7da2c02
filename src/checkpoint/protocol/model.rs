//! Drives [`Writer`]s through every order of events of a small world: processes
//! that crash or stall between any two steps, creates that land now, late, twice
//! or never, and garbage that is collected in between.
//!
//! An epoch stands for some records, in two files. Wrong: a record that is
//! visible twice, one that the newest manifest says is read and that is neither
//! visible nor will be, and a file that would be published with other content.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use super::{Manifest, Step, Told, Writer};

const FILES: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Epoch {
    epoch: u64,
    from: u64,
    to: u64,
    published_through: u64,
    process: usize,
    /// The mutation under test is part of every manifest, to be seen everywhere.
    mutation: Mutation,
}

/// A rule that is broken on purpose: the model must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Mutation {
    None,
    /// The floor is not looked at.
    NoFloor,
    /// The fence says that what it follows is published.
    FencePublishes,
    /// Publishing ends at the first file that is there.
    EarlyReturn,
    /// Any manifest of the epoch is taken for one's own.
    AnyIsOwn,
}

impl Manifest for Epoch {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn published_through(&self) -> u64 {
        self.published_through
    }

    fn files(&self) -> usize {
        if self.from < self.to { FILES } else { 0 }
    }

    fn is_same_write(&self, other: &Self) -> bool {
        self == other || self.mutation == Mutation::AnyIsOwn
    }
}

/// A published file: epoch, number, records.
type File = (u64, usize, u64, u64);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    manifests: BTreeSet<Epoch>,
    floor: u64,
    published: BTreeSet<File>,
    /// Creates that have been sent and may land.
    in_flight: BTreeSet<Epoch>,
    /// `None`: not started yet.
    processes: Vec<Option<Process>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process {
    writer: Writer<Epoch>,
    /// Under [`Mutation::EarlyReturn`]: the rest of the epoch's files is skipped.
    skipping: Option<u64>,
}

struct Bounds {
    records: u64,
    processes: usize,
    epochs: u64,
    mutation: Mutation,
}

impl World {
    fn new(bounds: &Bounds) -> Self {
        Self {
            manifests: BTreeSet::new(),
            floor: 0,
            published: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            processes: vec![None; bounds.processes],
        }
    }

    fn manifest(&self, epoch: u64) -> Option<Epoch> {
        self.manifests.iter().find(|m| m.epoch == epoch).copied()
    }

    fn newest(&self) -> Option<Epoch> {
        self.manifests.iter().filter(|m| m.epoch > self.floor).max().copied()
    }

    fn fault(&self, records: u64) -> Option<String> {
        for part in 0..FILES {
            let visible = |record: u64| {
                let files = self.published.iter().filter(|f| f.1 == part);
                files.filter(|f| (f.2..f.3).contains(&record)).count()
            };
            if let Some(record) = (0..records).find(|r| visible(*r) > 1) {
                return Some(format!("record {record} is visible twice"));
            }
            let Some(newest) = self.newest() else { continue };
            let will_be = |record: u64| {
                self.manifests.iter().any(|m| {
                    m.epoch > newest.published_through
                        && m.epoch <= newest.epoch
                        && m.epoch > self.floor
                        && (m.from..m.to).contains(&record)
                })
            };
            if let Some(lost) = (0..newest.to).find(|r| visible(*r) == 0 && !will_be(*r)) {
                return Some(format!("record {lost} is lost"));
            }
        }
        None
    }

    /// Every world that may be next.
    fn next(&self, bounds: &Bounds, all: &mut Vec<World>) -> Result<(), String> {
        for landing in &self.in_flight {
            if self.manifest(landing.epoch).is_none() {
                let mut next = self.clone();
                next.manifests.insert(*landing);
                all.push(next);
            }
        }
        for (at, process) in self.processes.iter().enumerate() {
            match process {
                // Processes are alike: they start in order.
                None if at == 0 || self.processes[at - 1].is_some() => {
                    let mut next = self.clone();
                    let writer = Writer::default();
                    next.processes[at] = Some(Process { writer, skipping: None });
                    all.push(next);
                }
                None => {}
                // A crash is a process that is not moved any more.
                Some(process) => self.moved(bounds, at, process, all)?,
            }
        }
        Ok(())
    }

    fn moved(
        &self,
        bounds: &Bounds,
        at: usize,
        process: &Process,
        all: &mut Vec<World>,
    ) -> Result<(), String> {
        let mut go = |change: &dyn Fn(&mut World), told: Told<Epoch>| {
            let mut next = self.clone();
            change(&mut next);
            next.processes[at].as_mut().expect("it runs").writer.told(told);
            all.push(next);
        };
        let nothing = |_: &mut World| {};
        match process.writer.step() {
            Step::FindNewest => go(&nothing, Told::Newest(self.newest())),
            Step::Fence(newest) => {
                let fence = fence(*newest, self.floor, at, bounds.mutation);
                if fence.epoch <= bounds.epochs {
                    go(&nothing, Told::Fence(fence));
                }
            }
            Step::Create(manifest) => {
                let manifest = *manifest;
                let send = |world: &mut World| {
                    world.in_flight.insert(manifest);
                };
                go(&send, Told::Sent);
            }
            Step::Read(epoch) => {
                go(&nothing, Told::Found(self.manifest(*epoch)));
            }
            Step::ReadFloor => {
                let seen = if bounds.mutation == Mutation::NoFloor { 0 } else { self.floor };
                go(&nothing, Told::Floor(seen));
            }
            Step::Publish(manifest, part) => {
                let file = (manifest.epoch, *part, manifest.from, manifest.to);
                let there = self.published.iter().find(|f| (f.0, f.1) == (file.0, file.1));
                let stops = bounds.mutation == Mutation::EarlyReturn
                    && (there.is_some() || process.skipping == Some(manifest.epoch));
                if stops {
                    let epoch = manifest.epoch;
                    let skip = |world: &mut World| {
                        world.processes[at].as_mut().expect("it runs").skipping = Some(epoch);
                    };
                    go(&skip, Told::Published);
                    return Ok(());
                }
                if there.is_some_and(|there| *there != file) {
                    return Err(format!("epoch {} is published differently", file.0));
                }
                let publish = |world: &mut World| {
                    world.published.insert(file);
                };
                go(&publish, Told::Published);
            }
            Step::Ready(last) => {
                for more in 1..=2 {
                    let next = Epoch {
                        epoch: last.epoch + 1,
                        from: last.to,
                        to: last.to + more,
                        published_through: last.epoch,
                        process: at,
                        mutation: bounds.mutation,
                    };
                    if next.to <= bounds.records && next.epoch <= bounds.epochs {
                        go(&nothing, Told::Next(next));
                    }
                }
                let through = process.writer.may_collect_through().expect("it is ready");
                if through > self.floor && self.manifest(last.epoch).is_some() {
                    let mut next = self.clone();
                    next.floor = through;
                    all.push(next);
                }
                let garbage = |m: &&Epoch| m.epoch <= self.floor && m.epoch < last.epoch;
                for manifest in self.manifests.iter().filter(garbage) {
                    let mut next = self.clone();
                    next.manifests.remove(manifest);
                    all.push(next);
                }
            }
            Step::Stop(_) => {}
        }
        Ok(())
    }
}

fn fence(newest: Option<Epoch>, floor: u64, process: usize, mutation: Mutation) -> Epoch {
    let (epoch, to, published) =
        newest.map_or((floor, 0, 0), |m| (m.epoch, m.to, m.published_through));
    let published_through =
        if mutation == Mutation::FencePublishes { epoch } else { published };
    Epoch { epoch: epoch + 1, from: to, to, published_through, process, mutation }
}

fn fingerprint(world: &World) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (half(1) << 64) | half(2)
}

/// How many worlds there are, or what goes wrong in one.
fn explore(bounds: &Bounds) -> Result<usize, String> {
    let first = World::new(bounds);
    let mut seen = HashSet::from([fingerprint(&first)]);
    let mut queue = VecDeque::from([first]);
    let mut next = Vec::new();
    while let Some(world) = queue.pop_front() {
        if let Some(fault) = world.fault(bounds.records) {
            return Err(fault);
        }
        world.next(bounds, &mut next)?;
        for world in next.drain(..) {
            if seen.insert(fingerprint(&world)) {
                queue.push_back(world);
            }
        }
    }
    Ok(seen.len())
}

fn bounds(records: u64, processes: usize, epochs: u64, mutation: Mutation) -> Bounds {
    Bounds { records, processes, epochs, mutation }
}

#[test]
fn nothing_is_lost_or_doubled() {
    let worlds = explore(&bounds(2, 2, 4, Mutation::None)).expect("no fault");
    assert!(worlds > 1000, "{worlds}");
}

#[test]
fn every_broken_rule_is_noticed() {
    for (mutation, records, processes, epochs) in [
        (Mutation::NoFloor, 2, 2, 4),
        (Mutation::FencePublishes, 2, 2, 4),
        (Mutation::EarlyReturn, 2, 2, 4),
        (Mutation::AnyIsOwn, 2, 2, 4),
    ] {
        let found = explore(&bounds(records, processes, epochs, mutation));
        assert!(found.is_err(), "{mutation:?}: {found:?}");
    }
}

/// The same with three processes: `cargo test --release -- --ignored model`.
#[test]
#[ignore = "minutes, in a release build"]
fn nothing_is_lost_or_doubled_among_three() {
    let worlds = explore(&bounds(2, 3, 4, Mutation::None)).expect("no fault");
    assert!(worlds > 1_000_000, "{worlds}");
}
