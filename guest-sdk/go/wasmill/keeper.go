package wasmill

// keeper copies bytes that are valid for a call to the host only: what is decoded of them may share their memory. That is freed when
// nobody has any of it.
type keeper struct{ block []byte }

const keeperBytes = 64 << 10

func (k *keeper) keep(p []byte) []byte {
	if cap(k.block)-len(k.block) < len(p) {
		k.block = make([]byte, 0, max(keeperBytes, len(p)))
	}
	at := len(k.block)
	k.block = append(k.block, p...)
	return k.block[at:len(k.block):len(k.block)]
}
