package wasmill

import (
	"encoding/binary"
	"strings"
	"time"
)

// HTTPRequest is what is asked about a record.
type HTTPRequest struct {
	method, url string
	headers     []byte
	body        []byte
	timeout     time.Duration
}

// Get asks for a URL.
func Get(url string) *HTTPRequest { return NewHTTPRequest("GET", url) }

// Post sends a body to a URL.
func Post(url, contentType string, body []byte) *HTTPRequest {
	return NewHTTPRequest("POST", url).Header("Content-Type", contentType).Body(body)
}

// NewHTTPRequest makes a request of any method.
func NewHTTPRequest(method, url string) *HTTPRequest { return &HTTPRequest{method: method, url: url} }

// Header adds a line to the head of the request.
func (r *HTTPRequest) Header(name, value string) *HTTPRequest {
	le := binary.LittleEndian
	r.headers = le.AppendUint32(r.headers, uint32(len(name)))
	r.headers = le.AppendUint32(r.headers, uint32(len(value)))
	r.headers = append(append(r.headers, name...), value...)
	return r
}

// Body sets the body of the request.
func (r *HTTPRequest) Body(body []byte) *HTTPRequest {
	r.body = body
	return r
}

// Timeout is how long this request may take with all its tries, in place of the operator's.
func (r *HTTPRequest) Timeout(d time.Duration) *HTTPRequest {
	r.timeout = d
	return r
}

const (
	clientHTTP       = "http"
	requestBytes     = 16 // before target and body
	httpRequestBytes = 16 // before its parts
	answerBytes      = 8  // before the body
	httpAnswerBytes  = 8  // before the headers
)

// append writes the request as the value of an action.
func (r *HTTPRequest) append(dst []byte) []byte {
	if problem := fraction("Timeout", r.timeout); problem != "" {
		panic(problem)
	}
	le := binary.LittleEndian
	body := httpRequestBytes + len(r.method) + len(r.url) + len(r.headers) + len(r.body)
	for _, n := range []int{0, int(r.timeout.Milliseconds()), len(clientHTTP), body} {
		dst = le.AppendUint32(dst, uint32(n))
	}
	dst = append(dst, clientHTTP...)
	for _, n := range []int{len(r.method), len(r.url), len(r.headers), len(r.body)} {
		dst = le.AppendUint32(dst, uint32(n))
	}
	dst = append(append(dst, r.method...), r.url...)
	return append(append(dst, r.headers...), r.body...)
}

// HTTPResponse is the answer to a request. It is valid during the call.
type HTTPResponse struct {
	Status  int
	Body    []byte
	headers []byte
}

// Header is the first header of a name, whatever its case; empty: there is none.
func (r *HTTPResponse) Header(name string) string {
	le := binary.LittleEndian
	for p := r.headers; len(p) > 0; {
		n, v := le.Uint32(p), le.Uint32(p[4:])
		if strings.EqualFold(string(p[8:8+n]), name) {
			return string(p[8+n : 8+n+v])
		}
		p = p[8+n+v:]
	}
	return ""
}

// readHTTPResponse reads the answer of a status. The host has written it, so lengths are trusted.
func readHTTPResponse(status uint32, p []byte) HTTPResponse {
	le := binary.LittleEndian
	head, body := le.Uint32(p), le.Uint32(p[4:])
	p = p[httpAnswerBytes:]
	return HTTPResponse{Status: int(status), headers: p[:head], Body: p[head : head+body]}
}
