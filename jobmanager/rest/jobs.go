package rest

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/checkpoint"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/savepoint"
	"github.com/wasmill/wasmill/internal/wire"
)

// Numbers of log lines that one request may ask for.
const (
	logLines    = 1000
	maxLogLines = 10_000
)

func (s *server) submitJob(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	var submit api.Submit
	if err := readJSON(c, &submit); err != nil {
		return err
	}
	job, err := s.jm.SubmitJob(c.Request().Context(), &submit)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/jobs/"+string(job.ID))
	return c.JSON(http.StatusCreated, job)
}

func (s *server) listJobs(c echo.Context) error {
	all, err := s.jm.ListJobs(c.Request().Context())
	if err != nil {
		return err
	}
	items, next, err := page(c, all, func(j *api.Job) string { return string(j.ID) })
	if err != nil {
		return err
	}
	return answerTagged(c, api.JobPage{Jobs: items, Next: next})
}

func (s *server) getJob(c echo.Context) error {
	if err := wantQuery(c, "watch"); err != nil {
		return err
	}
	watch, err := queryFlag(c, "watch")
	if err != nil {
		return err
	}
	if watch && c.Request().Method != http.MethodHead {
		return s.watchJob(c)
	}
	job, err := s.jm.GetJob(c.Request().Context(), jobID(c))
	if err != nil {
		return err
	}
	return answerTagged(c, job)
}

func (s *server) cancelJob(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	job, err := s.jm.CancelJob(c.Request().Context(), jobID(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, job)
}

func (s *server) giveUp(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	var asked api.GiveUp
	if err := readJSON(c, &asked); err != nil {
		return err
	}
	done, err := s.jm.GiveUp(c.Request().Context(), jobID(c), &asked)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, done)
}

func (s *server) jobPlan(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	plan, err := s.jm.JobPlan(c.Request().Context(), jobID(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, plan)
}

func (s *server) jobLogs(c echo.Context) error {
	if err := wantQuery(c, "after", "max"); err != nil {
		return err
	}
	after, err := queryTime(c, "after")
	if err != nil {
		return err
	}
	max, err := queryNumber(c, "max", logLines, maxLogLines)
	if err != nil {
		return err
	}
	lines, err := s.jm.JobLogs(c.Request().Context(), jobID(c), after, max)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.LogPage{Lines: append([]wire.LogLine{}, lines...)})
}

func (s *server) jobMetrics(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	ctx := c.Request().Context()
	job, err := s.jm.GetJob(ctx, jobID(c))
	if err != nil {
		return err
	}
	plan, err := s.jm.JobPlan(ctx, job.ID)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.JobMetrics{
		Job: job.ID, State: job.State, Attempt: job.Attempt, Restarts: job.Restarts,
		Progress: job.Progress, Tasks: append([]api.Task{}, plan.Tasks...),
	})
}

func (s *server) verifyCheckpoints(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	v, err := s.jm.VerifyCheckpoints(c.Request().Context(), jobID(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

func (s *server) inspectCheckpoint(c echo.Context) error {
	if err := wantQuery(c, "sample"); err != nil {
		return err
	}
	var id checkpoint.ID
	if text := c.Param("checkpoint"); text != "latest" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			return api.Errorf(api.KindBadRequest, "checkpoint %q (expected a number, or latest)", api.Shorten(text))
		}
		id = checkpoint.ID(n)
	}
	sample, err := queryNumber(c, "sample", 0, savepoint.MaxSample)
	if err != nil {
		return err
	}
	r, err := s.jm.InspectCheckpoint(c.Request().Context(), jobID(c), id, sample)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r)
}

func (s *server) jobCheckpoints(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	all, err := s.jm.JobCheckpoints(c.Request().Context(), jobID(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.CheckpointPage{Checkpoints: append([]api.Checkpoint{}, all...)})
}

func (s *server) takeCheckpoint(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	taken, err := s.jm.TakeCheckpoint(c.Request().Context(), jobID(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, taken)
}

func (s *server) jobSavepoints(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	all, err := s.jm.JobSavepoints(c.Request().Context(), jobID(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.SavepointPage{Savepoints: append([]api.Savepoint{}, all...)})
}

func (s *server) takeSavepoint(c echo.Context) error {
	if err := wantQuery(c); err != nil {
		return err
	}
	var take api.TakeSavepoint
	if err := readJSON(c, &take); err != nil {
		return err
	}
	made, err := s.jm.TakeSavepoint(c.Request().Context(), jobID(c), &take)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, made)
}

func jobID(c echo.Context) graph.JobID { return graph.JobID(c.Param("id")) }
