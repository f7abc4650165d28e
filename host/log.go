package host

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
	"github.com/wasmill/wasmill/abi"
)

// log writes a line to the job's log. Lines are cut at 4 KiB; an instance may write 200 lines a second on average and
// 1,000 at once, and how many were dropped is said when it may write again. Lines are written at once: they stay when
// the call ends badly.
//
//	wasmill.log(level, ptr, len i32)
//
// For example, with "3 rows skipped" at 512: log(3, 512, 14) writes it as a warning.
var log = hostFunction{
	module: abi.ImportModule, name: abi.ImportLog,
	params: []api.ValueType{i32, i32, i32},
	call: func(i *Instance, stack []uint64) {
		level := abi.LogLevel(uint32(stack[0]))
		if level < abi.LogDebug || level > abi.LogError {
			level = abi.LogInfo
		}
		i.logLine(level, string(i.view("log", uint32(stack[1]), uint32(stack[2]))))
	},
}

const (
	maxLineBytes   = 4 << 10
	linesPerSecond = 200
	linesAtOnce    = 1000
)

// lines limits how many lines an instance logs, by a bucket that fills with time.
type lines struct {
	left    float64
	filled  time.Time // zero: full
	dropped int
}

// allow takes one line out of the bucket.
func (l *lines) allow(now time.Time) bool {
	if l.filled.IsZero() {
		l.left = linesAtOnce
	} else {
		l.left = min(linesAtOnce, l.left+now.Sub(l.filled).Seconds()*linesPerSecond)
	}
	l.filled = now
	if l.left < 1 {
		l.dropped++
		return false
	}
	l.left--
	return true
}

// logLine hands a line on, if there may be one more.
func (i *Instance) logLine(level abi.LogLevel, text string) {
	if i.config.Log == nil || !i.lines.allow(time.Now()) {
		return
	}
	if n := i.lines.dropped; n > 0 {
		i.lines.dropped = 0
		i.config.Log(abi.LogWarn, fmt.Sprintf("%d log lines dropped (limit %d a second)", n, linesPerSecond))
	}
	i.config.Log(level, clean(text, maxLineBytes))
}

// clean makes s, which a guest wrote, valid UTF-8 of at most limit bytes.
func clean(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
