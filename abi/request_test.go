package abi

import (
	"bytes"
	"strings"
	"testing"
)

func TestRequestsThatCannotBeRead(t *testing.T) {
	_, q := goldenRequest()
	whole := q.Append(nil)
	for n := range whole {
		if _, err := ParseHTTPRequest(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(whole))
		}
	}
	long := bytes.Clone(whole)
	long[3] = 0xff
	if _, err := ParseHTTPRequest(long); err == nil || !strings.Contains(err.Error(), "http request: parts of") {
		t.Errorf("a method of 4 GB: %v", err)
	}
	headers := bytes.Clone(whole)
	headers[HTTPRequestBytes+len(q.Method)+len(q.URL)] = 200
	if _, err := ParseHTTPRequest(headers); err == nil || !strings.Contains(err.Error(), "headers[0]: name of 200") {
		t.Errorf("a header behind its section: %v", err)
	}
	for _, p := range [][]byte{nil, make([]byte, 15), append(make([]byte, 16), 1)} {
		if _, err := ParseRequest(p); err == nil {
			t.Errorf("request %x is read", p)
		}
	}
	if _, err := ParseAnswer(make([]byte, 7)); err == nil {
		t.Error("an answer of 7 bytes is read")
	}
	if _, err := ParseHTTPResponse(append(make([]byte, 8), 1)); err == nil {
		t.Error("a response with a byte too many is read")
	}
}

func FuzzHTTPRequest(f *testing.F) {
	_, q := goldenRequest()
	f.Add(q.Append(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		q, err := ParseHTTPRequest(p)
		if err == nil && !bytes.Equal(q.Append(nil), p) {
			t.Errorf("%x written again as %x", p, q.Append(nil))
		}
	})
}
