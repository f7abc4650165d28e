package host

import (
	"bytes"
	"encoding/binary"

	"github.com/wasmill/wasmill/abi"
)

const (
	stdin  = 0
	stdout = 1
	stderr = 2
)

// fdWrite takes what a guest writes to stdout (level info) and stderr (warning) and logs it line by line, under the
// limits of log. A line longer than 4 KiB is split; one that is not ended yet waits for its end, or for the
// instance's.
//
//	fd_write(fd i32, iovs ptr, n i32, written ptr) -> errno
//
// For example, fd_write(2, 64, 1, 128) with 00 02 00 00 03 00 00 00 at 64 and "no\n" at 512 logs "no" and writes 3 to
// 128.
var fdWrite = wasiFunction("fd_write", "iiii", func(i *Instance, p []uint64) errno {
	fd := uint32(p[0])
	if fd != stdout && fd != stderr {
		return errnoBadf
	}
	n := uint32(p[2])
	if n > maxIovecs {
		return errnoInval
	}
	iovs := i.view("fd_write vectors", uint32(p[1]), n*8)
	written := i.view("fd_write count", uint32(p[3]), 4)
	le := binary.LittleEndian
	total := uint32(0)
	for k := range int(n) {
		b := i.view("fd_write", le.Uint32(iovs[k*8:]), le.Uint32(iovs[k*8+4:]))
		i.writeStdio(fd, b)
		total += uint32(len(b))
	}
	le.PutUint32(written, total)
	return errnoSuccess
})

const (
	maxIovecs   = 1024
	outputBytes = 2 << 10 // of stderr that an error shows
)

func (i *Instance) writeStdio(fd uint32, b []byte) {
	line, level := &i.wasi.stdout, abi.LogInfo
	if fd == stderr {
		line, level = &i.wasi.stderr, abi.LogWarn
		i.keepOutput(b)
	}
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte{'\n'})
		if room := maxLineBytes - len(*line); len(part) > room {
			part, rest, ended = b[:room], b[room:], true
		}
		*line = append(*line, part...)
		if ended {
			i.logLine(level, string(*line))
			*line = (*line)[:0]
		}
		b = rest
	}
}

// keepOutput keeps the beginning of what the call wrote to stderr, where a language says why it dies, for the error.
func (i *Instance) keepOutput(b []byte) {
	if room := outputBytes - len(i.call.stderr); room > 0 {
		i.call.stderr = append(i.call.stderr, b[:min(room, len(b))]...)
	}
}

// flushLines logs the lines that were not ended: nothing more will come.
func (i *Instance) flushLines() {
	if len(i.wasi.stdout) > 0 {
		i.logLine(abi.LogInfo, string(i.wasi.stdout))
		i.wasi.stdout = i.wasi.stdout[:0]
	}
	if len(i.wasi.stderr) > 0 {
		i.logLine(abi.LogWarn, string(i.wasi.stderr))
		i.wasi.stderr = i.wasi.stderr[:0]
	}
}

// fdRead answers that stdin is at its end.
//
//	fd_read(fd i32, iovs ptr, n i32, read ptr) -> errno
var fdRead = wasiFunction("fd_read", "iiii", func(i *Instance, p []uint64) errno {
	if uint32(p[0]) != stdin {
		return errnoBadf
	}
	clear(i.view("fd_read count", uint32(p[3]), 4))
	return errnoSuccess
})

// fdFdstatGet writes 24 bytes on a descriptor: the three that there are look like a terminal without rights but to
// write, so that C libraries flush them line by line.
//
//	fd_fdstat_get(fd i32, out ptr) -> errno
//
// For example, fd_fdstat_get(1, 64) writes 02 00 01 00 00 00 00 00 | 40 00 00 00 00 00 00 00 | 0 to 64: a character
// device, opened to append, that may be written to.
var fdFdstatGet = wasiFunction("fd_fdstat_get", "ii", func(i *Instance, p []uint64) errno {
	if uint32(p[0]) > stderr {
		return errnoBadf
	}
	const (
		characterDevice = 2
		flagAppend      = 1
		rightRead       = 1 << 1
		rightWrite      = 1 << 6
	)
	b := i.view("fd_fdstat_get", uint32(p[1]), 24)
	clear(b)
	b[0] = characterDevice
	if uint32(p[0]) == stdin {
		b[8] = rightRead
	} else {
		b[2], b[8] = flagAppend, rightWrite
	}
	return errnoSuccess
})

// The three descriptors may be closed and given flags, to no effect, and have no position.
//
//	fd_close(fd i32) -> errno
//	fd_fdstat_set_flags(fd, flags i32) -> errno
//	fd_seek(fd i32, offset i64, whence i32, out ptr) -> errno
//	fd_tell(fd i32, out ptr) -> errno
var (
	fdClose          = wasiFunction("fd_close", "i", stdioOr(errnoSuccess))
	fdFdstatSetFlags = wasiFunction("fd_fdstat_set_flags", "ii", stdioOr(errnoSuccess))
	fdSeek           = wasiFunction("fd_seek", "ilii", stdioOr(errnoSpipe))
	fdTell           = wasiFunction("fd_tell", "ii", stdioOr(errnoSpipe))
)

// stdioOr answers e for the descriptors that there are.
func stdioOr(e errno) func(*Instance, []uint64) errno {
	return func(_ *Instance, p []uint64) errno {
		if uint32(p[0]) > stderr {
			return errnoBadf
		}
		return e
	}
}
