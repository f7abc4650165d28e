package avrorow

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/wasmill/wasmill/abi"
)

// Bounds of a container file.
const (
	SyncBytes     = 16       // of a sync marker
	MaxBlockBytes = 64 << 20 // of a block, compressed or not
	maxHeader     = 16 << 20
)

// Header is what stands at the beginning of an object container file:
//
//	0 "Obj" 1   4 a map of text to bytes: avro.schema, avro.codec ...   then the sync marker, which stands behind each block, too
//
// A block is the number of its values and of its bytes, both varints, and its bytes, compressed in the codec.
type Header struct {
	Schema string          `json:"schema"` // the writer's, as JSON
	Codec  string          `json:"codec"`
	Sync   [SyncBytes]byte `json:"sync"`
	Length int64           `json:"length"` // of the header, its sync marker included
}

// ReadHeader reads the header of a file.
func ReadHeader(from io.Reader) (*Header, error) {
	counted := &counter{r: io.LimitReader(from, maxHeader)}
	r := bufio.NewReader(counted)
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil || string(magic[:]) != "Obj\x01" {
		return nil, errors.New("no Avro object container file: it does not begin with \"Obj\", 1")
	}
	h := &Header{Codec: "null"}
	if err := h.metadata(r); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if _, err := io.ReadFull(r, h.Sync[:]); err != nil {
		return nil, fmt.Errorf("header: sync marker: %w", err)
	}
	h.Length = counted.n - int64(r.Buffered())
	if h.Schema == "" {
		return nil, errors.New("header: no avro.schema")
	}
	_, err := codecOf(h.Codec)
	return h, err
}

func (h *Header) metadata(r *bufio.Reader) error {
	for {
		n, err := binary.ReadVarint(r)
		if err != nil || n == 0 {
			return err
		}
		if n < 0 {
			n = -n
			if _, err := binary.ReadVarint(r); err != nil {
				return err
			}
		}
		for ; n > 0; n-- {
			key, err := text(r)
			if err != nil {
				return err
			}
			value, err := text(r)
			if err != nil {
				return err
			}
			switch key {
			case "avro.schema":
				h.Schema = value
			case "avro.codec":
				h.Codec = value
			}
		}
	}
}

func text(r *bufio.Reader) (string, error) {
	n, err := binary.ReadVarint(r)
	if err != nil {
		return "", err
	}
	if n < 0 || n > maxHeader {
		return "", fmt.Errorf("text of %d bytes", n)
	}
	var b bytes.Buffer
	_, err = io.CopyN(&b, r, n)
	return b.String(), err
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// codecOf is the compression of that name.
func codecOf(name string) (ocf.Codec, error) {
	switch name {
	case "null", "":
		return nil, nil
	case "deflate":
		return ocf.DeflateCodec(-1), nil
	case "snappy":
		return ocf.SnappyCodec(), nil
	case "zstandard":
		return ocf.ZstdCodec(nil, nil)
	}
	return nil, fmt.Errorf("compressed in %q (expected null, deflate, snappy or zstandard)", name)
}

// Unpacker decompresses the blocks of a file.
type Unpacker struct{ codec ocf.Codec }

// Unpacker returns that of the file.
func (h *Header) Unpacker() (*Unpacker, error) {
	c, err := codecOf(h.Codec)
	return &Unpacker{c}, err
}

// Unpack returns what a block holds.
func (u *Unpacker) Unpack(block []byte) ([]byte, error) {
	if u.codec == nil {
		return block, nil
	}
	return u.codec.(ocf.BoundedDecompressor).DecompressBounded(block, MaxBlockBytes)
}

// Close releases what it holds.
func (u *Unpacker) Close() error {
	if u.codec == nil {
		return nil
	}
	return u.codec.Close()
}

// Encoder writes rows of one codec as container files.
type Encoder struct {
	schema  *abi.Schema
	columns []int
	avro    *avro.Schema
	codec   string
	datum   []byte
}

// Compressions are the names that compression has in options, and what Avro calls it.
var Compressions = map[string]string{"none": "null", "deflate": "deflate", "snappy": "snappy", "zstd": "zstandard"}

// NewEncoder returns the encoder of a codec, which is a row. columns picks its fields; none: all of them.
func NewEncoder(codec abi.Codec, columns []string, compression string) (*Encoder, error) {
	s, err := abi.ParseSchema(codec)
	if err != nil {
		return nil, err
	}
	chosen, err := s.Choose(columns)
	if err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	text, err := schemaOf(s, chosen)
	if err != nil {
		return nil, err
	}
	parsed, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("as Avro: %w", err)
	}
	return &Encoder{schema: s, columns: chosen, avro: parsed, codec: Compressions[compression]}, nil
}

// File is a container file that is being written.
type File struct {
	encoder *Encoder
	out     *ocf.Writer
}

// Begin begins a file with its header. Files are written one value at a time, from one goroutine.
func (e *Encoder) Begin(out io.Writer) (*File, error) {
	var opts []ocf.WriterOpt
	c, err := codecOf(e.codec)
	if err != nil {
		return nil, err
	}
	if c != nil {
		opts = append(opts, ocf.WithCodec(c))
	}
	w, err := ocf.NewWriter(out, e.avro, opts...)
	return &File{e, w}, err
}

// ErrValue is wrapped by the error of a value that is no row of the encoder's codec; any other is one of writing.
var ErrValue = errors.New("no row")

// Add writes a row.
func (f *File) Add(value []byte) error {
	e := f.encoder
	if err := abi.Validate(e.schema, value); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	row := e.schema.Row(value)
	e.datum = e.datum[:0]
	for _, i := range e.columns {
		e.datum = appendField(e.datum, e.schema, row, i)
	}
	_, err := f.out.Write(e.datum)
	return err
}

// End writes what is held back.
func (f *File) End() error { return f.out.Close() }

// Block is one of a file, as it stands there.
type Block struct {
	Values int64
	Bytes  []byte
}

// ErrShort says that there is not a whole block.
var ErrShort = errors.New("cut off")

// NextBlock takes the block at the beginning of p apart, and says how many bytes it has there, its sync marker included. The error
// is ErrShort when p must be longer.
func NextBlock(p []byte) (b Block, n int, err error) {
	var size int64
	for _, to := range []*int64{&b.Values, &size} {
		v, k := binary.Varint(p[n:])
		if k == 0 {
			return b, 0, ErrShort
		}
		if k < 0 || v < 0 {
			return b, 0, fmt.Errorf("a block of %d values in %d bytes", b.Values, size)
		}
		*to = v
		n += k
	}
	switch {
	case size > MaxBlockBytes:
		return b, 0, fmt.Errorf("a block of %d bytes (expected <= %d)", size, MaxBlockBytes)
	case int64(len(p)-n) < size+SyncBytes:
		return b, 0, ErrShort
	}
	b.Bytes = p[n : n+int(size)]
	return b, n + int(size) + SyncBytes, nil
}
