package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/wasmill/wasmill/internal/transport"
	"github.com/wasmill/wasmill/internal/wire"
	"github.com/wasmill/wasmill/taskmanager"
)

// registrar is the JobManager as a TaskManager's process registers with it. A JobManager that does not answer is waited
// for, and the log says so; but one whose certificate is of another cluster will be no other, so that ends the process.
type registrar struct {
	taskmanager.JobManager
	log  *slog.Logger
	said string // the last error that was logged; used by the goroutine that registers
}

// registerPatience is how long nothing is said about a JobManager that does not answer.
const registerPatience = 2 * time.Second

func (r *registrar) Register(ctx context.Context, m *wire.Register) (*wire.Registered, error) {
	slow := time.AfterFunc(registerPatience, func() { r.log.Info("waiting for the JobManager to answer") })
	defer slow.Stop()
	registered, err := r.JobManager.Register(ctx, m)
	if err == nil {
		r.said = ""
		return registered, nil
	}
	var certificate *tls.CertificateVerificationError
	var network *transport.Error
	if errors.As(err, &certificate) && errors.As(err, &network) {
		return nil, &wire.Failure{Kind: wire.KindInput, Message: network.Problem, Hint: network.Hint}
	}
	if err.Error() != r.said && ctx.Err() == nil {
		r.said = err.Error()
		r.log.Warn("register with the JobManager; trying again", "err", err)
	}
	return nil, err
}
