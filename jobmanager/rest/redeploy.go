package rest

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
)

func (s *server) rescaleJob(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	var rescale api.Rescale
	if err := readJSON(c, &rescale); err != nil {
		return err
	}
	job, err := s.jm.RescaleJob(c.Request().Context(), jobID(c), &rescale)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, job)
}

func (s *server) upgradeJob(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	var upgrade api.Upgrade
	if err := readJSON(c, &upgrade); err != nil {
		return err
	}
	done, err := s.jm.UpgradeJob(c.Request().Context(), jobID(c), &upgrade)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, done)
}
