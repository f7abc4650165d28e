package file

import (
	"errors"
	"io"

	"github.com/wasmill/wasmill/internal/format/avrorow"
	"github.com/wasmill/wasmill/internal/format/parquetrow"
)

// avroContent is object container files.
type avroContent struct{ rows *avrorow.Encoder }

func (c avroContent) begin(out io.Writer) (body, error) {
	f, err := c.rows.Begin(out)
	return containerBody{f, avrorow.ErrValue}, err
}

// parquetContent is Parquet files.
type parquetContent struct {
	rows  *parquetrow.Encoder
	limit int // bytes of a row group
}

func (c parquetContent) begin(out io.Writer) (body, error) {
	f, err := c.rows.Begin(out, c.limit)
	return containerBody{f, parquetrow.ErrValue}, err
}

// groupBytes bounds what a Parquet file holds in memory: there may be many files, and one that is to be ended at a size is not to
// be much larger.
func (s *Sink) groupBytes() int {
	limit := int64(parquetrow.GroupBytes)
	if s.partitions != nil {
		limit = 1 << 20
	}
	if s.rollSize > 0 {
		limit = min(limit, s.rollSize)
	}
	return int(limit)
}

// containerBody is a file whose format has a writer of its own. Its error is misfit if a value is no row.
type containerBody struct {
	file interface {
		Add(value []byte) error
		End() error
	}
	misfit error
}

func (b containerBody) add(value []byte) error {
	err := b.file.Add(value)
	if errors.Is(err, b.misfit) {
		return unfit(err)
	}
	return err
}

func (b containerBody) end() error { return b.file.End() }
