package host

import "github.com/wasmill/wasmill/abi"

// Input is the batch of a call. *abi.Builder is one; Bytes wraps a batch that is encoded already.
type Input interface {
	Size() int                // bytes that Encode needs
	Encode(dst []byte) []byte // writes the batch to dst, which has at least Size bytes
}

// Bytes is an encoded batch as an Input.
type Bytes []byte

// Size returns the length of the batch.
func (b Bytes) Size() int { return len(b) }

// Encode copies the batch.
func (b Bytes) Encode(dst []byte) []byte { return dst[:copy(dst, b)] }

// Effects is what a call did, to be applied because it ended well. It is valid until the next call on the instance.
type Effects struct {
	Emits        []Emit
	Reply        []byte // entries for abi.NextReplyEntry, checked: walking them cannot fail
	Watermark    int64  // the largest that the guest reported
	HasWatermark bool
}

// Emit is one batch that the guest sent to an output: a parsed and checked view into memory of the host.
type Emit struct {
	Output uint32
	Batch  abi.Batch
	Bytes  []byte // the same batch encoded, 8-aligned
}
