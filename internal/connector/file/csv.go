package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/format/csvrow"
)

// csvOptions are those of format csv:
//
//	header          true: a file's first line names its columns
//	delimiter       a character of ASCII, comma by default; tab is "tab"
//	names           of a source without header, the columns: "id,name"; without them, they are the fields of the row, in order
//	quotedNewlines  of a source, true: a column in quotes may have line ends in it, for which a file is read as a whole and not
//	                in parts
type csvOptions struct {
	header         bool
	delimiter      byte
	names          string
	quotedNewlines bool
}

// read takes the options that there are.
func (o *csvOptions) read(config map[string]string) (err error) {
	*o = csvOptions{delimiter: ',', names: config["names"]}
	if o.header, err = flag(config, "header"); err != nil {
		return err
	}
	if o.quotedNewlines, err = flag(config, "quotedNewlines"); err != nil {
		return err
	}
	switch d := config["delimiter"]; {
	case d == "":
	case d == "tab":
		o.delimiter = '\t'
	case len(d) > 1 || d[0] < ' ' && d[0] != '\t' || d[0] >= 0x7f || d[0] == '"':
		return fmt.Errorf("delimiter: %q (expected a character of ASCII other than a quote, or tab)", d)
	default:
		o.delimiter = d[0]
	}
	if o.header && o.names != "" {
		return errors.New("names: given, but the header has them (expected one of the two)")
	}
	return nil
}

func flag(config map[string]string, name string) (bool, error) {
	switch config[name] {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	}
	return false, fmt.Errorf("%s: %q (expected true or false)", name, config[name])
}

// columns are the names of a file's columns, nil: those of the row.
func (s *Source) columns(sp *span) []string {
	switch {
	case s.csv.header:
		return sp.Names
	case s.csv.names != "":
		return strings.Split(s.csv.names, ",")
	}
	return nil
}

// maxHeader bounds the first line of a file.
const maxHeader = 1 << 20

// measureHeader reads the names of a file's columns, which must have those of the row.
func (s *Source) measureHeader(f *os.File, sp *span) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("file source: read input %s: %w", sp.Path, err)
	}
	in, free, err := unpack(sp.Codec, f)
	if err != nil {
		return damagedHeader(sp, err)
	}
	defer free()
	line, err := bufio.NewReader(io.LimitReader(in, maxHeader)).ReadBytes('\n')
	if err != nil && err != io.EOF {
		return damagedHeader(sp, err)
	}
	sp.Header = int64(len(line))
	if sp.Names, err = csvrow.Names(bytes.TrimRight(bytes.TrimPrefix(line, byteOrderMark), "\r\n"), s.csv.delimiter); err == nil {
		_, err = csvrow.NewDecoder(s.schema, s.csv.delimiter, sp.Names)
	}
	if err != nil {
		return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s: %w", sp.Path, err)}
	}
	return nil
}

func damagedHeader(sp *span, err error) error {
	return &connector.Error{Op: opSource, Err: fmt.Errorf("input %s: read its header: %s: %w", sp.Path, sp.Codec, err), Hint: "make the file again, or rename it if it is not compressed"}
}

// recordEnd is the first line end in p that is not in quotes, -1 when there is none; inside says whether p begins in quotes,
// and then whether it ends there.
func recordEnd(p []byte, inside *bool) int {
	for i := 0; ; {
		if *inside {
			n := bytes.IndexByte(p[i:], '"')
			if n < 0 {
				return -1
			}
			i += n + 1
			*inside = false
			continue
		}
		n := bytes.IndexAny(p[i:], "\"\n")
		if n < 0 {
			return -1
		}
		i += n
		if p[i] == '\n' {
			return i
		}
		i++
		*inside = true
	}
}
