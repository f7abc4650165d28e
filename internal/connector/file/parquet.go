package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/format/parquetrow"
)

// measureParquet returns the bytes of a file's row groups, whose rows must make those that are wanted.
func (s *Source) measureParquet(f io.ReaderAt, path string, size int64) ([]int64, error) {
	opened, err := parquetrow.Open(f, size)
	if err == nil && s.schema != nil {
		err = opened.Check(s.schema)
	}
	if err != nil {
		return nil, &connector.Error{Op: opSource, Err: fmt.Errorf("input %s: %w", path, err)}
	}
	groups := make([]int64, opened.Groups())
	for i := range groups {
		groups[i] = opened.GroupBytes(i)
	}
	return groups, nil
}

// rowGroups is a split for each row group.
func rowGroups(file span) (out []connector.Split) {
	for i, size := range file.Groups {
		part := file
		part.Group = i
		made := split(part, fmt.Sprintf("%s[group %d]", filepath.Base(file.Path), i))
		made.Bytes = size
		out = append(out, made)
	}
	return out
}

// parquetReader reads the rows of one row group.
type parquetReader struct {
	*input
	source *Source
	rows   *parquetrow.Reader
	taken  int64 // rows
	read   int64 // bytes that were not told of
	value  []byte
	bad    []connector.BadRecord
}

// parquetPosition is where a reader stands: behind so many rows of the group.
type parquetPosition struct {
	Rows int64 `json:"rows"`
}

// openParquet returns a reader of the split's row group, or of its rest.
func (s *Source) openParquet(in *input, at json.RawMessage) (connector.Reader, error) {
	r := &parquetReader{input: in, source: s}
	if len(at) > 0 {
		var p parquetPosition
		if err := json.Unmarshal(at, &p); err != nil {
			return nil, fmt.Errorf("file source: position in %s: %w", in.span.Path, err)
		}
		r.taken = p.Rows
	}
	file, err := parquetrow.Open(in.file, in.span.Size)
	if err == nil && in.span.Group >= file.Groups() {
		err = fmt.Errorf("%d row groups", file.Groups())
	}
	if err == nil {
		r.rows, err = file.Read(s.schema, in.span.Group, r.taken)
	}
	if err != nil {
		return nil, r.ruined(err)
	}
	if r.taken == 0 {
		r.read = file.GroupBytes(in.span.Group)
	}
	return r, nil
}

// Poll appends rows to b.
func (r *parquetReader) Poll(b *abi.Builder, maxRecords, maxBytes int, _ time.Time) (connector.Progress, error) {
	r.bad = r.bad[:0]
	if err := r.checkUnchanged(0); err != nil {
		return connector.Progress{}, err
	}
	for n, size := 0, 0; n < maxRecords && size < maxBytes; n++ {
		row, fault, err := r.rows.Next(r.value[:0])
		if err == io.EOF {
			return r.progress(true), nil
		}
		if err != nil {
			return connector.Progress{}, r.ruined(err)
		}
		r.value = row
		r.taken++
		if fault != nil {
			where := fmt.Sprintf("%s, row %d of row group %d", r.span.Path, r.taken, r.span.Group)
			r.bad = append(r.bad, connector.BadRecord{Where: where, Err: fault})
			continue
		}
		b.Append(abi.Record{Timestamp: firstTime(r.source.event, row), Value: row})
		size += len(row)
	}
	return r.progress(false), nil
}

func (r *parquetReader) progress(done bool) connector.Progress {
	p := connector.Progress{Done: done, Read: r.read, Bad: r.bad}
	r.read = 0
	return p
}

// Position is exact to the row.
func (r *parquetReader) Position() json.RawMessage {
	p, _ := json.Marshal(parquetPosition{r.taken}) // a struct of a number always marshals
	return p
}

// ruined is the error of a row group that is not what it should be.
func (r *parquetReader) ruined(err error) error {
	return &connector.Error{
		Op: opSource, Err: fmt.Errorf("input %s is damaged behind row %d of row group %d: %w", r.span.Path, r.taken, r.span.Group, err), Hint: "make the file again",
	}
}

// Close releases the file.
func (r *parquetReader) Close() error { return errors.Join(r.rows.Close(), r.file.Close()) }
