package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/jsonfault"
)

// maxJSONBytes bounds a JSON body: a submission with its parameters.
const maxJSONBytes = 1 << 20

// readJSON reads the whole body, an object, into v. Fields that v does not have are refused by name.
func readJSON(c echo.Context, v any) error {
	if err := wantType(c.Request(), "application/json"); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxJSONBytes))
	if err != nil {
		return bodyError(body, err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return bodyError(body, err)
	}
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) { // which any value may be, to the decoder
		return api.Errorf(api.KindBadRequest, "body: null (expected an object)")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return api.Errorf(api.KindBadRequest, "body: more follows the JSON value")
	}
	return nil
}

// bodyError says what is wrong with a body that could not be read, with the place where JSON knows it.
func bodyError(body []byte, err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return api.Errorf(api.KindTooLarge, "body is larger than %s", humanize.Bytes(uint64(tooLarge.Limit)))
	case errors.Is(err, io.EOF):
		return api.Errorf(api.KindBadRequest, "body is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return api.Errorf(api.KindIncomplete, "body ended early")
	}
	return api.Errorf(api.KindBadRequest, "body: %s", jsonfault.Describe(body, err))
}

// wantType refuses a body that says it is something else; one that says nothing is taken.
func wantType(r *http.Request, want string) error {
	given := r.Header.Get(echo.HeaderContentType)
	if given == "" {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(given); err == nil && kind == want {
		return nil
	}
	e := api.Errorf(api.KindBadRequest, "Content-Type %q (expected %s)", given, want)
	e.Status = http.StatusUnsupportedMediaType
	return e
}

// wantQuery refuses query parameters that the route does not have, and those that are given twice.
func wantQuery(c echo.Context, known ...string) error {
	for name, values := range c.QueryParams() {
		switch {
		case len(known) == 0:
			return api.Errorf(api.KindBadRequest, "query parameter %q is not known here (there are none)", name)
		case !slices.Contains(known, name):
			return api.Errorf(api.KindBadRequest, "query parameter %q is not known here (known: %s)", name, strings.Join(known, ", "))
		case len(values) > 1:
			return api.Errorf(api.KindBadRequest, "query parameter %s: given twice (expected once)", name)
		}
	}
	return nil
}

// queryFlag reads a query parameter that is true or false; its name alone is true.
func queryFlag(c echo.Context, name string) (bool, error) {
	if !c.QueryParams().Has(name) {
		return false, nil
	}
	switch text := c.QueryParam(name); text {
	case "", "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, api.Errorf(api.KindBadRequest, "query parameter %s: %q (expected true or false)", name, text)
	}
}

// queryNumber reads a query parameter between 1 and max.
func queryNumber(c echo.Context, name string, without, max int) (int, error) {
	text := c.QueryParam(name)
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > max {
		return 0, api.Errorf(api.KindBadRequest, "query parameter %s: %q (expected 1 <= n <= %d)", name, text, max)
	}
	return n, nil
}

func queryTime(c echo.Context, name string) (time.Time, error) {
	text := c.QueryParam(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, api.Errorf(api.KindBadRequest, "query parameter %s: %q (expected a time as 2026-01-31T12:00:00Z)", name, text)
	}
	return t, nil
}

// Page sizes of lists.
const (
	pageSize    = 100
	maxPageSize = 1000
)

// page cuts the part of all that the query's after and limit ask for. id names an item; a cursor is the id of the last
// item that was answered.
func page[T any](c echo.Context, all []T, id func(*T) string) (items []T, next string, err error) {
	if err := wantQuery(c, "limit", "after"); err != nil {
		return nil, "", err
	}
	limit, err := queryNumber(c, "limit", pageSize, maxPageSize)
	if err != nil {
		return nil, "", err
	}
	if after := c.QueryParam("after"); after != "" {
		from := -1
		for i := range all {
			if id(&all[i]) == after {
				from = i + 1
			}
		}
		if from < 0 {
			return nil, "", api.Errorf(api.KindBadRequest, "query parameter after: %q is no longer in the list", after)
		}
		all = all[from:]
	}
	if len(all) <= limit {
		return append([]T{}, all...), "", nil
	}
	return all[:limit], id(&all[limit-1]), nil
}

// uploadBody gives the reading side's errors the kind that the user is to see.
type uploadBody struct {
	body  io.Reader
	limit int64
}

func (u uploadBody) Read(p []byte) (int, error) {
	n, err := u.body.Read(p)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return n, tooLargeModule(u.limit)
	}
	return n, fmt.Errorf("%w: %w", api.Errorf(api.KindIncomplete, "upload ended early").WithHint("nothing of it was kept; send it again"), err)
}

func tooLargeModule(limit int64) error {
	return api.Errorf(api.KindTooLarge, "module is larger than %s", humanize.IBytes(uint64(limit))).
		WithHint("build without debug information, or raise upload.limit")
}
