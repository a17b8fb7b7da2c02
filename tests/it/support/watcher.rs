//! A reader that looks at a lake all the while: whatever it sees is a whole file
//! and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Watcher {
    /// Looks into every table's folder in `lake`.
    pub fn start(lake: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::SeqCst) {
                for table in entries(&lake) {
                    for file in entries(&table) {
                        if seen.insert(file.clone()) {
                            see(&file);
                        }
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            seen.len()
        });
        Self { stop, thread }
    }

    /// How many files it has seen.
    pub fn finish(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("every file was whole")
    }
}

/// What lies in a folder; nothing if there is none.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Parquet begins and ends with its mark.
fn see(file: &Path) {
    let name = file.display();
    // The S3 server puts what is under way aside under names of its own.
    if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
        assert!(name.to_string().contains(".sgwtmp"), "{name} is no data");
        return;
    }
    assert!(file.extension().is_some_and(|e| e == "parquet"), "{name} is no data");
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{name} is not whole");
}
