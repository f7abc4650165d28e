package file

import (
	"io"
	"slices"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector/text"
	"github.com/wasmill/wasmill/internal/format/avrorow"
	"github.com/wasmill/wasmill/internal/format/csvrow"
	"github.com/wasmill/wasmill/internal/format/jsonrow"
	"github.com/wasmill/wasmill/internal/format/parquetrow"
)

// content is what a sink makes of records of one codec, for one writer.
type content interface {
	// begin begins a file, which is written to out.
	begin(out io.Writer) (body, error)
}

// body is the content of a file that is being written. An error of out is passed on as it is.
type body interface {
	add(value []byte) error
	end() error // writes what was held back
}

// content makes that of records of a codec, or says why the sink's format has none.
func (s *Sink) content(value abi.Codec) (content, error) {
	if s.changes {
		c, err := newChanges(value)
		if err != nil {
			return nil, err
		}
		value = c.schema.Codec()
	}
	switch s.format {
	case formatJSON:
		lines, err := jsonrow.NewEncoder(value, s.fields(), s.times)
		return &linesContent{format: lines}, err
	case formatCSV:
		lines, err := csvrow.NewEncoder(value, s.fields(), s.csv.delimiter, s.times)
		made := &linesContent{format: lines}
		if err == nil && s.csv.header {
			made.header = append(lines.Header(), '\n')
		}
		return made, err
	case formatAvro:
		rows, err := avrorow.NewEncoder(value, s.fields(), s.compression)
		return avroContent{rows}, err
	case formatParquet:
		rows, err := parquetrow.NewEncoder(value, s.fields(), s.compression)
		return parquetContent{rows, s.groupBytes()}, err
	}
	lines, err := text.NewFormat(value, s.columns)
	return &linesContent{format: lines}, err
}

// linesContent is a line a record. The writer's files share it.
type linesContent struct {
	format interface {
		Append(dst, value []byte) ([]byte, error)
	}
	header []byte // of each file
	line   []byte
}

func (c *linesContent) begin(out io.Writer) (body, error) {
	_, err := out.Write(c.header)
	return &linesBody{c, out}, err
}

type linesBody struct {
	*linesContent
	out io.Writer
}

func (b *linesBody) add(value []byte) error {
	line, err := b.format.Append(b.line[:0], value)
	if err != nil {
		return unfit(err)
	}
	b.line = append(line, '\n')
	_, err = b.out.Write(b.line)
	return err
}

func (b *linesBody) end() error { return nil }

// fields are those of a row that are written, in their order; none: all. Of a change, the op comes first.
func (s *Sink) fields() []string {
	if !s.changes || s.columns == nil || slices.Contains(s.columns, opField) {
		return s.columns
	}
	return append([]string{opField}, s.columns...)
}
