package exchange

import "time"

// SetParkTime shortens how long streams wait for their task. Before any come.
func (n *Network) SetParkTime(d time.Duration) { n.parkTime = d }

// ParseFrames reads p as a stream's bytes up to the first that make no sense.
func ParseFrames(p []byte) (frames int) {
	if len(p) < helloBytes {
		return 0
	}
	_, jobBytes, err := parseHello(p[:helloBytes])
	if err != nil || len(p) < helloBytes+jobBytes {
		return 0
	}
	p = p[helloBytes+jobBytes:]
	for batches := uint64(0); len(p) >= frameBytes; frames++ {
		f, err := parseFrame((*[frameBytes]byte)(p), batches)
		if err != nil || f.follows > len(p)-frameBytes {
			return frames
		}
		if f.kind == Batch {
			batches++
		}
		p = p[frameBytes+f.follows:]
	}
	return frames
}
