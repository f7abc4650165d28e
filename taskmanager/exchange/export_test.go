package exchange

import "time"

// Impatient is a network whose streams wait no longer than d for their task.
func Impatient(d time.Duration) Config { return Config{parkTime: d} }

// ParseFrames reads p as a stream's bytes up to the first that make no sense.
func ParseFrames(p []byte) (frames int) {
	if len(p) < helloBytes {
		return 0
	}
	_, _, jobBytes, err := parseHello(p[:helloBytes])
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
