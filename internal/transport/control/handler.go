package control

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"sync"

	"github.com/wasmill/wasmill/internal/wire"
)

const contentType = "application/json"

// Handler answers calls, and counts those that came too late.
type Handler struct {
	mux   http.ServeMux
	mu    sync.Mutex
	stale map[string]int64 // guarded by mu; by the name of the call
}

func newHandler() *Handler { return &Handler{stale: map[string]int64{}} }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Stale is how many calls of each name were refused because their epoch, attempt or registration was over.
func (h *Handler) Stale() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.stale)
}

func (h *Handler) note(name string, err error) {
	var f *wire.Failure
	if errors.As(err, &f) && f.Kind == wire.KindStale {
		h.mu.Lock()
		h.stale[name]++
		h.mu.Unlock()
	}
}

// handle answers the calls of one name. The context of serve ends when the caller gives up.
func handle[Q, A any](h *Handler, name string, serve func(context.Context, *Q) (*A, error)) {
	h.mux.HandleFunc("POST "+prefix+name, func(w http.ResponseWriter, r *http.Request) {
		request := new(Q)
		body := http.MaxBytesReader(w, r.Body, messageLimit)
		if err := json.NewDecoder(body).Decode(request); err != nil {
			refuse(w, unreadable(name, err))
			return
		}
		answer, err := serve(r.Context(), request)
		if err != nil {
			h.note(name, err)
			refuse(w, err)
			return
		}
		write(w, http.StatusOK, answer)
	})
}

// unreadable is the refusal of a request that has not reached its handler.
func unreadable(name string, err error) error {
	f := &wire.Failure{Kind: wire.KindInternal, Message: name + ": read the request: " + err.Error()}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		f.Kind = wire.KindInput // the graph, with its parameters, is the only part that a user makes large
	}
	return f
}

func refuse(w http.ResponseWriter, err error) {
	var f *wire.Failure
	if errors.As(err, &f) {
		write(w, http.StatusConflict, f)
		return
	}
	write(w, http.StatusInternalServerError, &wire.Failure{Message: err.Error()})
}

func write(w http.ResponseWriter, status int, message any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(message) // the caller has gone, and asks again
}

// command is a call without an answer.
func command[Q any](serve func(context.Context, *Q) error) func(context.Context, *Q) (*none, error) {
	return func(ctx context.Context, q *Q) (*none, error) { return &none{}, serve(ctx, q) }
}
