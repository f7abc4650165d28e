package rest

import (
	"net"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/loopback"
)

// onlyLocal refuses what a web page on this machine could be made to send: a request by a foreign host name that was
// made to resolve to loopback, or from another origin. Both are how a browser would reach a server without credentials.
func onlyLocal(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !loopback.Is(hostOnly(r.Host)) {
			return api.Errorf(api.KindForbidden, "Host %q is not this machine (expected 127.0.0.1, ::1 or localhost)", r.Host)
		}
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
			return api.Errorf(api.KindForbidden, "requests from web pages of %s are refused", origin)
		}
		return next(c)
	}
}

func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
