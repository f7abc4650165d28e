package rest

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
)

//go:embed openapi.json
var openAPIDocument []byte

func (s *server) listTaskManagers(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	all, err := s.jm.ListTaskManagers(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.TaskManagerPage{TaskManagers: append([]api.TaskManager{}, all...)})
}

func (s *server) overview(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	o, err := s.jm.ClusterOverview(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, o)
}

// openAPI answers the document that this interface is held against.
func (s *server) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/json", openAPIDocument)
}
