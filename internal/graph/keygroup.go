package graph

// KeyGroupOf places a key, given by the xxhash64 of its bytes, in one of maxParallelism key groups.
func KeyGroupOf(hash uint64, maxParallelism int) KeyGroup {
	return KeyGroup(hash % uint64(maxParallelism))
}

// SubtaskOf names the subtask that owns a key group: groups lie with subtasks in contiguous, nearly equal ranges.
func SubtaskOf(group KeyGroup, parallelism, maxParallelism int) int {
	return int(group) * parallelism / maxParallelism
}

// KeyGroupsOf is the range from <= group < to that a subtask owns.
func KeyGroupsOf(subtask, parallelism, maxParallelism int) (from, to KeyGroup) {
	ceil := func(n int) KeyGroup { return KeyGroup((n*maxParallelism + parallelism - 1) / parallelism) }
	return ceil(subtask), ceil(subtask + 1)
}
