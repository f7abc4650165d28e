package abi

import "slices"

// View sets b to a view of the records collected so far, without encoding them. It is valid until the builder is used
// again.
func (w *Builder) View(b *Batch) {
	*b = Batch{N: w.n, Columns: w.cols}
	if w.cols&ColumnTimestamps != 0 {
		b.Timestamps = w.timestamps
	}
	if w.cols&ColumnKeys != 0 {
		b.KeyOffs, b.Keys = w.keyOffs, w.keys
	}
	if w.cols&ColumnValues != 0 {
		b.ValueOffs, b.Values = w.valueOffs, w.values
	}
	if w.cols&ColumnKinds != 0 {
		b.Kinds = w.kinds
	}
	if w.cols&ColumnHashes != 0 {
		b.Hashes = w.hashes
	}
	if w.cols&ColumnHeaders != 0 {
		b.HeaderOffs, b.Headers = w.headerOffs, w.headers
	}
	if w.cols&ColumnPartials != 0 {
		b.Partials = w.partials
	}
}

// Bytes returns how many key, value and header bytes have been collected.
func (w *Builder) Bytes() int { return len(w.keys) + len(w.values) + len(w.headers) }

// AppendRows copies the records rows of b, column by column; hashes stands in for the batch's own, which it may lack. A
// column that b lacks is filled as Append fills it from a zero Record, timestamps with NoTimestamp; partials it must have.
func (w *Builder) AppendRows(b *Batch, rows []uint32, hashes []uint64) {
	if w.cols&ColumnTimestamps != 0 {
		if b.Timestamps == nil {
			w.timestamps = appendSame(w.timestamps, NoTimestamp, len(rows))
		} else {
			w.timestamps = gather(w.timestamps, b.Timestamps, rows)
		}
	}
	if w.cols&ColumnKeys != 0 {
		w.keyOffs, w.keys = gatherBytes(w.keyOffs, w.keys, b.KeyOffs, b.Keys, rows)
	}
	if w.cols&ColumnValues != 0 {
		w.valueOffs, w.values = gatherBytes(w.valueOffs, w.values, b.ValueOffs, b.Values, rows)
	}
	if w.cols&ColumnKinds != 0 {
		if b.Kinds == nil {
			w.kinds = appendSame(w.kinds, byte(Insert), len(rows))
		} else {
			w.kinds = gather(w.kinds, b.Kinds, rows)
		}
	}
	if w.cols&ColumnHashes != 0 {
		w.hashes = gather(w.hashes, hashes, rows)
	}
	if w.cols&ColumnHeaders != 0 {
		w.headerOffs, w.headers = gatherBytes(w.headerOffs, w.headers, b.HeaderOffs, b.Headers, rows)
	}
	if w.cols&ColumnPartials != 0 {
		w.partials = gather(w.partials, b.Partials, rows)
	}
	w.n += len(rows)
}

// AppendRange is AppendRows for the records from lo up to hi.
func (w *Builder) AppendRange(b *Batch, lo, hi int, hashes []uint64) {
	n := hi - lo
	if w.cols&ColumnTimestamps != 0 {
		if b.Timestamps == nil {
			w.timestamps = appendSame(w.timestamps, NoTimestamp, n)
		} else {
			w.timestamps = append(w.timestamps, b.Timestamps[lo:hi]...)
		}
	}
	if w.cols&ColumnKeys != 0 {
		w.keyOffs, w.keys = appendBytes(w.keyOffs, w.keys, b.KeyOffs, b.Keys, lo, hi)
	}
	if w.cols&ColumnValues != 0 {
		w.valueOffs, w.values = appendBytes(w.valueOffs, w.values, b.ValueOffs, b.Values, lo, hi)
	}
	if w.cols&ColumnKinds != 0 {
		if b.Kinds == nil {
			w.kinds = appendSame(w.kinds, byte(Insert), n)
		} else {
			w.kinds = append(w.kinds, b.Kinds[lo:hi]...)
		}
	}
	if w.cols&ColumnHashes != 0 {
		w.hashes = append(w.hashes, hashes[lo:hi]...)
	}
	if w.cols&ColumnHeaders != 0 {
		w.headerOffs, w.headers = appendBytes(w.headerOffs, w.headers, b.HeaderOffs, b.Headers, lo, hi)
	}
	if w.cols&ColumnPartials != 0 {
		w.partials = append(w.partials, b.Partials[lo:hi]...)
	}
	w.n += n
}

func gather[T any](dst, src []T, rows []uint32) []T {
	at := len(dst)
	dst = slices.Grow(dst, len(rows))[:at+len(rows)]
	for i, r := range rows {
		dst[at+i] = src[r]
	}
	return dst
}

func appendSame[T any](dst []T, v T, n int) []T {
	for range n {
		dst = append(dst, v)
	}
	return dst
}

// gatherBytes copies the byte strings rows of a column; a column that is absent has empty ones.
func gatherBytes(dstOffs []uint32, dst []byte, offs []uint32, src []byte, rows []uint32) ([]uint32, []byte) {
	if offs == nil {
		return appendSame(dstOffs, uint32(len(dst)), len(rows)), dst
	}
	at := len(dstOffs)
	dstOffs = slices.Grow(dstOffs, len(rows))[:at+len(rows)]
	for i, r := range rows {
		dst = append(dst, src[offs[r]:offs[r+1]]...)
		dstOffs[at+i] = uint32(len(dst))
	}
	return dstOffs, dst
}

// appendBytes copies the byte strings from lo up to hi of a column at once.
func appendBytes(dstOffs []uint32, dst []byte, offs []uint32, src []byte, lo, hi int) ([]uint32, []byte) {
	if offs == nil {
		return appendSame(dstOffs, uint32(len(dst)), hi-lo), dst
	}
	shift := uint32(len(dst)) - offs[lo]
	dst = append(dst, src[offs[lo]:offs[hi]]...)
	at := len(dstOffs)
	dstOffs = slices.Grow(dstOffs, hi-lo)[:at+hi-lo]
	for i, o := range offs[lo+1 : hi+1] {
		dstOffs[at+i] = o + shift
	}
	return dstOffs, dst
}
