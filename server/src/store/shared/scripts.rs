//! What Redis does in one step, in its own language.
//!
//! A version has 64 bits and Lua's numbers 53, so versions stay text here: the longer one is greater, and of two as
//! long the one that sorts later.

use redis::Script;

/// `held(key)`: the version that stands there, entry or tombstone, or nil; and `greater(a, b)`. What we did not write
/// is nil: it must not keep anything out.
const VERSIONS: &str = r"
local function greater(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end
local function held(key)
  local head = redis.pcall('GETRANGE', key, 0, 20)
  if type(head) ~= 'string' then return nil end
  local version = string.match(head .. ':', '^(%d+):')
  if not version or greater(version, '18446744073709551615') or string.match(version, '^0%d') then return nil end
  return version
end
";

/// Keys: the document, the generation. Arguments: version, generation, lifetime in ms, value.
///
/// The generation is the one that was found *before* the store was read. If it is not the one that stands, everything
/// was invalidated meanwhile, perhaps because of a write that this read did not see.
const FILL: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
local version = held(KEYS[1])
if version and greater(version, ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
return 1
";

/// Keys: documents. Arguments: lifetime in ms, then a version for each.
///
/// DEL comes first although SET would do: where memory is short Redis refuses SET, but not in a script that has written
/// already, and an invalidation is what must not fail for want of memory.
const INVALIDATE: &str = r"
for index, key in ipairs(KEYS) do
  local version = held(key)
  if not version or greater(ARGV[index + 1], version) then
    redis.call('DEL', key)
    redis.call('SET', key, ARGV[index + 1], 'PX', ARGV[1])
  end
end
return #KEYS
";

/// Keys: the generation, the server. Arguments: a fresh generation, and 1 to begin it in any case.
///
/// The generation ends with the server it was made on: one that restarted from a snapshot, or a replica that took over,
/// may have lost the latest invalidations, and nobody can tell which.
const GENERATION: &str = r"
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local generation = redis.pcall('GET', KEYS[1])
if ARGV[2] ~= '1' and type(generation) == 'string' and #generation == #ARGV[1]
    and redis.pcall('GET', KEYS[2]) == server then
  return generation
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], server)
return ARGV[1]
";

/// The scripts, with the names that Redis has for them.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) fill: Script,
    pub(super) invalidate: Script,
    pub(super) generation: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            fill: Script::new(&format!("{VERSIONS}{FILL}")),
            invalidate: Script::new(&format!("{VERSIONS}{INVALIDATE}")),
            generation: Script::new(GENERATION),
        }
    }
}
