//go:build !wasip1

package wasmill

import (
	"fmt"
	"os"
)

// native stands in for the host where there is none: it keeps what a guest would have sent. Jobs cannot reach it; a
// job's functions are tested by calling them.
var native struct {
	emit      func(output uint32, p []byte)
	reply     func(p []byte)
	watermark func(milliseconds int64)
	fail      func(p []byte)
	state     func(op uint32, p, out []byte) uint32
}

func hostEmit(output uint32, p []byte) { native.emit(output, p) }
func hostReply(p []byte)               { native.reply(p) }
func hostWatermark(milliseconds int64) { native.watermark(milliseconds) }
func hostFail(p []byte)                { native.fail(p) }

func hostState(op uint32, p, out []byte) uint32 { return native.state(op, p, out) }

func hostLog(_ uint32, text string)    { fmt.Fprintln(os.Stderr, text) }
func hostMetric(uint32, string, int64) {}
