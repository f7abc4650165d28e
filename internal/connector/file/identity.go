package file

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/connector"
)

// An input must be the same file from the first split to the last, and when a job goes on from a checkpoint; or lines of one
// file would be mixed with those of another. It is known again by its content, in samples, and not by inode or time of
// change: another machine may have a copy of it, and so may a disk that was restored. What was appended since does not
// matter: only the first bytes are looked at, as many as there were when it was cut into splits.
const (
	samples     = 8
	sampleBytes = 8 << 10 // a file of samples*sampleBytes is looked at as a whole
)

// fingerprint is a hash of the first size bytes of a file, or of samples of them: the first, the last, and some between.
func fingerprint(f io.ReaderAt, size int64) (string, error) {
	hash := xxhash.New()
	buf := make([]byte, sampleBytes)
	block := min(size, sampleBytes)
	n := min((size+sampleBytes-1)/sampleBytes, samples)
	for i := range n {
		at := int64(0)
		if n > 1 {
			at = i * (size - block) / (n - 1)
		}
		read, err := f.ReadAt(buf[:block], at)
		if int64(read) < block {
			return "", err
		}
		hash.Write(buf[:block])
	}
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, hash.Sum64())), nil
}

// changed is the error of an input that is not what it was. A file that is put back as it was can be gone on with.
func changed(format string, args ...any) error {
	return &connector.Error{
		Op: opSource, Err: fmt.Errorf(format, args...),
		Hint: "files must not change while they are read: put it back as it was and run the job on from its last checkpoint, or from the beginning",
	}
}

// input is the open file of a split.
type input struct {
	file     *os.File
	span     span
	size     int64 // when it was looked at last
	modified time.Time
}

// openInput opens the file of a split, which must be the one that it was.
func openInput(sp span) (*input, error) {
	f, err := os.Open(sp.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &connector.Error{
			Op: opSource, Err: fmt.Errorf("input %s is gone", sp.Path), Passes: true,
			Hint: "put it back, or mount what it is on again: the job restarts, and goes on when it is there",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("file source: %w", err)
	}
	r := &input{file: f, span: sp}
	if err := r.checkIdentity(); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// head reads the file from where it stands, and no further than it was when it was cut into splits: what was appended is another
// record, also behind a line that had no end.
type head struct{ *input }

func (h head) Read(p []byte) (int, error) {
	if h.span.Size > 0 { // splits of before there were sizes have none
		at, err := h.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, err
		}
		if at >= h.span.Size {
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), h.span.Size-at)]
	}
	return h.file.Read(p)
}

// checkIdentity holds the file against what it was when it was cut into splits.
func (r *input) checkIdentity() error {
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("file source: %w", err)
	}
	r.size, r.modified = info.Size(), info.ModTime()
	if r.span.Sum == "" { // splits of before there were sums
		return nil
	}
	if r.size < r.span.Size {
		return changed("input %s has %d bytes, but had %d when the job began", r.span.Path, r.size, r.span.Size)
	}
	switch sum, err := fingerprint(r.file, r.span.Size); {
	case errors.Is(err, io.EOF):
		return changed("input %s has become shorter than the %d bytes that it had when the job began", r.span.Path, r.span.Size)
	case err != nil:
		return fmt.Errorf("file source: %w", err)
	case sum != r.span.Sum:
		return changed("input %s is not the file that the job began with: its first %d bytes are others", r.span.Path, r.span.Size)
	}
	return nil
}

// checkUnchanged notices that the open file was written to since it was looked at last. If it has grown, it must still begin
// as it did. offset is where it is read.
func (r *input) checkUnchanged(offset int64) error {
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("file source: %w", err)
	}
	switch {
	case info.Size() == r.size && info.ModTime().Equal(r.modified):
		return nil
	case info.Size() > r.size:
		return r.checkIdentity()
	}
	return changed("input %s was changed while it was read, at byte %d of %d or before: it has %d bytes now", r.span.Path, offset, r.size, info.Size())
}

// behindBytes is how much of what was read stays in memory, so that a position can tell what stood before it.
const behindBytes = 1 << 10

// position is where the next line begins: its offset in the uncompressed file, and a hash of what stood before it.
type position struct {
	Offset int64  `json:"offset"`
	Behind int    `json:"behind,omitempty"` // so many bytes
	Sum    string `json:"sum,omitempty"`    // of those
}

func sumOf(p []byte) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, xxhash.Sum64(p)))
}

// here is the reader's position.
func (r *reader) here() position {
	behind := r.buf[max(0, r.from-behindBytes):r.from]
	if len(behind) == 0 {
		return position{Offset: r.offset}
	}
	return position{r.offset, len(behind), sumOf(behind)}
}

// goOn places the reader at its position, if what was read before it still stands there.
func (r *reader) goOn() error {
	at := r.at
	if at.Behind < 0 || at.Behind > behindBytes || at.Offset < int64(at.Behind) {
		return fmt.Errorf("file source: position %+v in %s", *at, r.span.Path)
	}
	from := at.Offset - int64(at.Behind)
	if r.span.Codec == "" {
		if _, err := r.file.Seek(from, io.SeekStart); err != nil {
			return fmt.Errorf("file source: %w", err)
		}
	} else if _, err := io.CopyN(io.Discard, r.in, from); err != nil {
		return r.ruined(err)
	}
	switch n, err := io.ReadFull(r.in, r.buf[:at.Behind]); {
	case err != nil && r.span.Codec != "":
		return r.ruined(err)
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return changed("input %s ended at byte %d, but was read up to %d before", r.span.Path, from+int64(n), at.Offset)
	case err != nil:
		return fmt.Errorf("file source: %w", err)
	case at.Sum != "" && sumOf(r.buf[:n]) != at.Sum:
		return changed("input %s is not the file that was read: the %d bytes before byte %d are others", r.span.Path, n, at.Offset)
	}
	r.from, r.to = at.Behind, at.Behind
	r.offset, r.read = at.Offset, 0
	return nil
}
