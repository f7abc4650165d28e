// Package print is a sink that writes records as lines to the log of the process that runs it, for trying a job out.
package print

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/connector"
	"github.com/wasmill/wasmill/internal/connector/text"
)

// Sink prints. It has no options. Printed lines are not taken back when a job restarts.
type Sink struct{}

// NewSink checks that there are no options.
func NewSink(config map[string]string) (connector.Sink, error) {
	for key := range config {
		return nil, &connector.Error{Op: "print sink", Err: fmt.Errorf("unknown option %q (it has none)", key)}
	}
	return Sink{}, nil
}

// Columns are what the text of a record is made of.
func (Sink) Columns(_, value abi.Codec) (abi.Columns, error) {
	if _, err := text.NewFormat(value, nil); err != nil {
		return 0, &connector.Error{Op: "print sink", Err: err}
	}
	return abi.ColumnValues, nil
}

// Open returns a writer to the task's printer.
func (Sink) Open(_ context.Context, task connector.SinkTask) (connector.Writer, error) {
	if task.Print == nil {
		return nil, errors.New("print sink: open: nowhere to print")
	}
	format, err := text.NewFormat(task.Value, nil)
	if err != nil {
		return nil, &connector.Error{Op: "print sink", Err: err}
	}
	return &writer{format: format, print: task.Print}, nil
}

// Commit has nothing to do.
func (Sink) Commit(context.Context, string, uint64, []connector.Committable) error { return nil }

// Abort has nothing to do.
func (Sink) Abort(context.Context, string, uint32) error { return nil }

type writer struct {
	format *text.Format
	print  func(line []byte)
	line   []byte
}

func (w *writer) Write(b *abi.Batch, _ time.Time) (time.Time, error) {
	for i := range b.N {
		line, err := w.format.Append(w.line[:0], b.Value(i))
		if err != nil {
			return time.Time{}, &connector.Error{Op: "print sink", Err: fmt.Errorf("write record: %w", err)}
		}
		w.line = line
		w.print(line)
	}
	return time.Time{}, nil
}

func (w *writer) Prepare(context.Context) ([]connector.Committable, connector.Settle, error) {
	return nil, nil, nil
}
func (w *writer) Close() error { return nil }

// Guarantee is AtLeastOnce: a line that was printed stays.
func (Sink) Guarantee() connector.Guarantee { return connector.AtLeastOnce }
