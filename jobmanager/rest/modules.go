package rest

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
)

func (s *server) uploadModule(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	r := c.Request()
	if err := wantType(r, "application/wasm"); err != nil {
		return err
	}
	if r.ContentLength > s.uploadLimit {
		return tooLargeModule(s.uploadLimit)
	}
	body := http.MaxBytesReader(c.Response(), r.Body, s.uploadLimit)
	m, err := s.jm.UploadModule(r.Context(), uploadBody{body, s.uploadLimit})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/modules/"+string(m.ID))
	return c.JSON(http.StatusCreated, m)
}

func (s *server) listModules(c echo.Context) error {
	all, err := s.jm.ListModules(c.Request().Context())
	if err != nil {
		return err
	}
	items, next, err := page(c, all, func(m *api.Module) string { return string(m.ID) })
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.ModulePage{Modules: items, Next: next})
}

// getModule answers with the module's hash as its ETag: a module never changes.
func (s *server) getModule(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	m, err := s.jm.GetModule(c.Request().Context(), graph.ModuleID(c.Param("id")))
	if err != nil {
		return err
	}
	if unchanged(c, `"`+string(m.ID)+`"`) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.JSON(http.StatusOK, m)
}
