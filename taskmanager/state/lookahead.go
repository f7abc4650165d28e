package state

// A lookup in a table that is larger than the processor's caches is a chain of loads that each wait for memory: the index, where the
// key lies, the key, the word of its value, the value. Key by key, that is most of what a lookup takes. So before some keys of a batch are
// looked up, they go through the chain together, a step at a time: the loads of a step do not wait for each other. What is read is for
// nothing else.

// together is how many keys go ahead: enough loads for a processor at a time, few enough lines to still be there when they are looked up.
const together = 32

// outsideCaches is how many entries a table has that is larger than a cache of one core, at least.
const outsideCaches = 1 << 16

// lookAhead goes ahead of the lookup of up to together keys.
func (t *table) lookAhead(hashes []uint64) {
	mask, read := uint32(len(t.index)-1), uint64(0)
	for _, hash := range hashes {
		read += t.index[uint32(hash>>32)>>t.shift&mask]
	}
	var entries [together]uint32
	n := 0
	for _, hash := range hashes {
		tag := uint32(hash >> 32)
		for i := tag >> t.shift; ; i++ {
			slot := t.index[i&mask]
			if slot == 0 {
				break
			}
			if uint32(slot>>32) == tag && slot != grave { // nearly always the key's
				entries[n&(together-1)] = uint32(slot) - 1
				n++
				break
			}
		}
	}
	var refs, words [together]ref
	for i, e := range entries[:n] {
		refs[i], words[i] = t.keyRefs[e], ref(*t.Word(Entry(e)))
	}
	for _, r := range refs[:n] {
		read += uint64(t.keys.chunks[r>>32][uint32(r)])
	}
	if t.spec.Kind != Words {
		for _, r := range words[:n] {
			if uint64(r) != noValue && uint64(r) != gone {
				read += uint64(t.values.chunks[r>>32][uint32(r)])
			}
		}
	}
	t.read = read
}
