package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
)

// answerError turns what a handler returned into problem+json. A stream that has begun can only be ended.
func (s *server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	e := s.problem(err, c.Request())
	if c.Request().Method == http.MethodHead {
		c.Response().WriteHeader(e.Status)
		return
	}
	body, err := json.Marshal(e)
	if err != nil {
		s.log.Error("write problem", "err", err)
		return
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if err := c.Blob(e.Status, "application/problem+json", body); err != nil {
		s.log.Debug("answer request", "path", c.Request().URL.Path, "err", err)
	}
}

// problem finds the user's error in err; one that is not meant for users is logged and answered as internal.
func (s *server) problem(err error, r *http.Request) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	var route *echo.HTTPError
	if errors.As(err, &route) {
		return routeProblem(route, r)
	}
	if errors.Is(err, context.Canceled) {
		return api.Errorf(api.KindUnavailable, "%s %s: the request was ended", r.Method, r.URL.Path)
	}
	s.log.Error("request", "method", r.Method, "path", r.URL.Path, "err", err)
	return api.Errorf(api.KindInternal, "%s %s: %s", r.Method, r.URL.Path, err)
}

// routeProblem says what Echo says when no handler was found.
func routeProblem(found *echo.HTTPError, r *http.Request) *api.Error {
	switch found.Code {
	case http.StatusNotFound:
		return api.Errorf(api.KindNotFound, "%s: no such resource", api.Shorten(r.URL.Path)).WithHint("GET /v1/openapi.json lists what there is")
	case http.StatusMethodNotAllowed: // Echo has set Allow
		return api.Errorf(api.KindMethodNotAllowed, "%s is not allowed on %s", r.Method, api.Shorten(r.URL.Path))
	}
	e := api.Errorf(api.KindBadRequest, "%v", found.Message)
	e.Status = found.Code
	return e
}

// recoverPanic keeps a fault in one request from ending the JobManager. The stack goes to the log only.
func (s *server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				s.log.Error("request panicked", "path", c.Request().URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = api.Errorf(api.KindInternal, "%s %s: internal fault; the JobManager's log has more", c.Request().Method, c.Request().URL.Path)
			}
		}()
		return next(c)
	}
}
