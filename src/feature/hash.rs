//! Maps of what was captured. Their hash is seeded afresh by each process, so nothing captured can be made to collide, and
//! it is some times faster than the standard one; nothing depends on the order of such a map.

use foldhash::fast::RandomState;

/// A hash map.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
/// A hash set.
pub(super) type HashSet<T> = std::collections::HashSet<T, RandomState>;
/// A hash map that knows the order in which it was filled.
pub(super) type IndexMap<K, V> = indexmap::IndexMap<K, V, RandomState>;
/// A hash set that knows the order in which it was filled.
pub(super) type IndexSet<T> = indexmap::IndexSet<T, RandomState>;
