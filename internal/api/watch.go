package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/wasmill/wasmill/internal/graph"
)

// maxEventBytes bounds one line of an event stream: a job with its parameters and failure.
const maxEventBytes = 4 << 20

// ErrWatchBroken is what WatchJob returns when the stream of changes ended although the job has not: the JobManager was
// stopped, or the connection to it broke. Asking again is the thing to do.
var ErrWatchBroken = errors.New("the JobManager has closed the connection")

// WatchJob calls changed with the job as it is, then again at each change, and returns nil when the job has ended.
func (c *Client) WatchJob(ctx context.Context, id graph.JobID, changed func(*Job)) error {
	resp, err := c.do(ctx, http.MethodGet, jobPath(id)+"?watch=true", nil, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	ended := false
	err = readEvents(resp.Body, func(data string) error {
		job := new(Job)
		if err := json.Unmarshal([]byte(data), job); err != nil {
			return fmt.Errorf("read change of job %s: %w", id, err)
		}
		ended = job.State.Terminal()
		changed(job)
		return nil
	})
	if ended {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var malformed *json.SyntaxError
	if errors.As(err, &malformed) {
		return err
	}
	return ErrWatchBroken
}

// readEvents calls each with the data of every server-sent event of r, until r ends.
func readEvents(r io.Reader, each func(data string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxEventBytes)
	var data strings.Builder
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if data.Len() > 0 {
				if err := each(data.String()); err != nil {
					return err
				}
				data.Reset()
			}
			continue
		}
		if text, ok := strings.CutPrefix(line, "data:"); ok {
			data.WriteString(strings.TrimPrefix(text, " "))
		}
	}
	return lines.Err()
}
