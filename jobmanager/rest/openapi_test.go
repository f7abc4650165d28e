package rest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/api"
	"github.com/wasmill/wasmill/internal/graph"
	"github.com/wasmill/wasmill/internal/wire"
)

func document(t testing.TB) (*openapi3.T, routers.Router) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil // its "/" matches no absolute URL in this router
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return doc, router
}

// pathParameter is how a route writes what the document writes as {id}.
var pathParameter = regexp.MustCompile(`:(\w+)`)

func TestDocumentHasExactlyTheRoutes(t *testing.T) {
	doc, _ := document(t)
	documented := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+path] = true
		}
	}
	for _, r := range (&server{metrics: http.NotFoundHandler()}).routes() {
		name := r.method + " " + pathParameter.ReplaceAllString(r.path, "{$1}")
		if !documented[name] {
			t.Errorf("openapi.json does not have %s: describe it there", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		if path, ok := strings.CutPrefix(name, "HEAD "); ok && doc.Paths.Find(path).Get != nil {
			continue // served with GET, and named where asking without the body is the point
		}
		t.Errorf("openapi.json has %s, which is not served", name)
	}
}

// held is a transport that checks every answer against the document, and so that a field added in Go is added there.
type held struct {
	t      testing.TB
	router routers.Router
	next   http.RoundTripper
}

func (h held) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(req)
	if err != nil || resp.Header.Get("Content-Type") == "text/event-stream" {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return resp, err
	}
	route, params, err := h.router.FindRoute(req)
	if err != nil {
		h.t.Errorf("%s %s: not in openapi.json: %v", req.Method, req.URL, err)
		return resp, nil
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if req.Method == http.MethodHead {
		return resp, nil
	}
	if err := openapi3filter.ValidateResponse(req.Context(), input); err != nil {
		h.t.Errorf("%s %s: answer is not what openapi.json says: %v\n%s", req.Method, req.URL, err, body)
	}
	return resp, nil
}

// TestSchemasHaveEveryField catches fields that the answers of other tests leave out.
func TestSchemasHaveEveryField(t *testing.T) {
	doc, _ := document(t)
	for _, v := range []any{
		api.Job{}, api.Change{}, api.Subtasks{}, api.Progress{}, api.Output{}, api.Submit{}, api.Module{}, api.Plan{}, api.Task{}, api.TaskManager{},
		api.Overview{}, api.Error{}, api.JobPage{}, api.ModulePage{}, api.TaskManagerPage{}, api.LogPage{}, api.JobMetrics{}, api.Checkpoint{}, api.CheckpointPage{}, api.Guarantee{}, api.LostOutput{}, api.GiveUp{}, api.GaveUp{}, api.Skipped{},
		abi.Param{}, wire.Failure{}, wire.LogLine{}, wire.TaskMetrics{}, wire.Idle{}, wire.Requests{}, graph.TaskID{}, graph.JobGraph{},
	} {
		goType := reflect.TypeOf(v)
		schema := doc.Components.Schemas[goType.Name()]
		if schema == nil {
			t.Errorf("openapi.json has no schema %s", goType.Name())
			continue
		}
		missing := maps.Clone(schema.Value.Properties)
		for i := range goType.NumField() {
			name, _, _ := strings.Cut(goType.Field(i).Tag.Get("json"), ",")
			if missing[name] == nil {
				t.Errorf("schema %s in openapi.json does not have the field %q", goType.Name(), name)
			}
			delete(missing, name)
		}
		for name := range missing {
			t.Errorf("schema %s in openapi.json has %q, which no answer has", goType.Name(), name)
		}
	}
}
