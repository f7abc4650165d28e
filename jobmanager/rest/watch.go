package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// watchKeepAlive is how often a silent stream of events says that it is alive, so that neither side waits for a
// connection that is gone.
const watchKeepAlive = 15 * time.Second

// watchJob answers with server-sent events: the job as it is, then as it is after each change. The stream ends with the
// job, with the client, or with the server.
func (s *server) watchJob(c echo.Context) error {
	ctx := c.Request().Context()
	changes, err := s.jm.WatchJob(ctx, jobID(c))
	if err != nil {
		return err
	}
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	w.Flush()
	alive := time.NewTicker(watchKeepAlive)
	defer alive.Stop()
	for {
		select {
		case job, more := <-changes:
			if !more {
				return nil
			}
			data, err := json.Marshal(job)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "event: job\ndata: %s\n\n", data); err != nil {
				return nil // the client has left
			}
		case <-alive.C:
			if _, err := fmt.Fprint(w, ": alive\n\n"); err != nil {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
		w.Flush()
	}
}
