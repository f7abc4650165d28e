package rest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wasmill/wasmill/internal/api"
)

func TestIfNoneMatch(t *testing.T) {
	for _, c := range []struct {
		fields []string
		tag    string
		want   bool
	}{
		{nil, `"a"`, false},
		{[]string{`"a"`}, `"a"`, true},
		{[]string{`"a"`}, `W/"a"`, true},
		{[]string{`W/"a"`}, `"a"`, true},
		{[]string{`"b", W/"x,y" ,"a"`}, `"a"`, true},
		{[]string{`"b"`, `"a"`}, `"a"`, true},
		{[]string{`, ,"a",`}, `"a"`, true},
		{[]string{`*`}, `"a"`, true},
		{[]string{` * `}, `"a"`, true},
		{[]string{`"*"`}, `"a"`, false},
		{[]string{`"b,a"`}, `"a"`, false},
		{[]string{`a`}, `"a"`, false},
		{[]string{`"a`}, `"a"`, false},
		{[]string{`w/"a"`}, `"a"`, false},
		{[]string{``}, `"a"`, false},
	} {
		if got := noneMatchHas(c.fields, c.tag); got != c.want {
			t.Errorf("%q has %s: %v (expected %v)", c.fields, c.tag, got, c.want)
		}
	}
}

// ask serves one request to h.
func ask(h http.Handler, method, path, noneMatch string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	if noneMatch != "" {
		r.Header.Set("If-None-Match", noneMatch)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswersThatHaveNotChangedAreNotSentAgain(t *testing.T) {
	for _, path := range []string{"/v1/jobs", "/v1/jobs/000000000001", "/v1/modules/" + string(moduleID)} {
		jm := newFake()
		h := handler(jm)
		first := ask(h, "GET", path, "")
		tag := first.Header().Get("ETag")
		if first.Code != http.StatusOK || tag == "" {
			t.Fatalf("%s: %d, ETag %q", path, first.Code, tag)
		}
		for _, header := range []string{tag, `"other", ` + tag, "*"} {
			for _, method := range []string{"GET", "HEAD"} {
				w := ask(h, method, path, header)
				if w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
					t.Errorf("%s %s with If-None-Match %s: %d, ETag %q, %q", method, path, header, w.Code, w.Header().Get("ETag"), w.Body)
				}
			}
		}
		jm.jobs[0].State, jm.modules[0].ID = api.JobFinished, "cd"
		if w := ask(h, "GET", path, tag); w.Code != http.StatusOK || w.Header().Get("ETag") == tag {
			t.Errorf("%s after a change: %d, ETag %q", path, w.Code, w.Header().Get("ETag"))
		}
	}
}
