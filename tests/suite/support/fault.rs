//! Faults on purpose: a library, preloaded into `prefab`, that makes the n-th thing done to a
//! file fail, or be the last that the process does. See `fault.cpp`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A fault, to be put into the environment of a run or of a worker.
pub struct Fault {
    variables: Vec<(String, String)>,
    counter: PathBuf,
    at: u64,
}

impl Fault {
    /// `mode` at operation `at`, of processes of the verb `role` (of all, where it is empty).
    /// `folder` keeps the count.
    pub fn new(folder: &Path, role: &str, mode: &str, at: u64) -> Self {
        let counter = folder.join("fault-counter");
        std::fs::write(&counter, [0; 8]).unwrap();
        let mut variables = vec![
            ("LD_PRELOAD".to_owned(), library().display().to_string()),
            ("PREFAB_FAULT".to_owned(), format!("{mode}:{at}")),
            ("PREFAB_FAULT_COUNTER".to_owned(), counter.display().to_string()),
        ];
        if !role.is_empty() {
            variables.push(("PREFAB_FAULT_ROLE".to_owned(), role.to_owned()));
        }
        Self { variables, counter, at }
    }

    pub fn env(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Whether the operation was come to.
    pub fn is_hit(&self) -> bool {
        self.seen() > self.at
    }

    /// Operations that were seen, the one that went wrong among them.
    pub fn seen(&self) -> u64 {
        u64::from_ne_bytes(std::fs::read(&self.counter).unwrap().try_into().unwrap())
    }
}

/// Compiled once a test process; renamed into place, so that several may do so at once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (fresh, place) =
            (folder.join(format!("fault-{}.so", std::process::id())), folder.join("fault.so"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/support/fault.cpp");
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-std=c++17", source, "-ldl", "-o"])
            .arg(&fresh)
            .status()
            .unwrap();
        assert!(built.success(), "the C++ compiler that builds kernels/ builds this too");
        std::fs::rename(&fresh, &place).unwrap();
        place
    })
}
