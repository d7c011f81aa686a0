//! Which build this is; `build.rs` and the linker say so.

use object::Object;
use object::read::ReadCache;

/// The crate's version and the commit it was built from: `0.1.0+1a2b3c4`, or `0.1.0` outside a checkout.
pub const VERSION: &str = env!("TIDELINE_VERSION");

/// The whole commit, 40 hex digits; empty outside a checkout.
pub const COMMIT: &str = env!("TIDELINE_COMMIT");

/// All of it, as `--version` prints it: version, commit and build id, a line each.
pub fn long() -> String {
    let mut text = VERSION.to_owned();
    for (name, value) in [("commit", Some(COMMIT.to_owned())), ("build id", build_id())] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(&format!("\n{name} {value}"));
        }
    }
    text
}

/// What the linker named this very file: by it a core dump or a profile finds the symbols that were stripped from it.
/// None where there is no `/proc`, or the linker was told to write none.
pub fn build_id() -> Option<String> {
    let file = std::fs::File::open("/proc/self/exe").ok()?;
    let cache = ReadCache::new(file);
    let program = object::File::parse(&cache).ok()?;
    program.build_id().ok()?.map(hex::encode)
}
