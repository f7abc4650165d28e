package abi

import (
	"encoding/binary"
	"fmt"
)

// What a request function asks, and what it is told.
//
// The value of ActionRequest:
//
//	0 u32 record (its index in the list)   4 u32 timeout in ms, 0: the operator's
//	8 u32 target length   12 u32 body length   16 target, body
//
// An element of ListAnswers:
//
//	0 u32 outcome   4 u32 code of the client's protocol   8 body; of an outcome other than Answered why, in UTF-8
//
// The body of a request to the client "http", and of its answer, whose code is the status:
//
//	0 u32 method length   4 u32 URL length   8 u32 header bytes   12 u32 body length   16 method, URL, headers, body
//	0 u32 header bytes   4 u32 body length   8 headers, body
//
// Headers are those of a record: u32 name length, u32 value length, name, value without padding, any number.
const (
	RequestBytes      = 16
	AnswerBytes       = 8
	HTTPRequestBytes  = 16
	HTTPResponseBytes = 8
)

// ClientHTTP is the name of the client that speaks HTTP.
const ClientHTTP = "http"

// Outcome is what became of a request. The list only grows.
type Outcome uint32

const (
	Answered Outcome = 0
	TimedOut Outcome = 1
	Refused  Outcome = 2 // by the host: it is not granted, or no request, or its answer is too large
	Broken   Outcome = 3 // there was no answer
	Unasked  Outcome = 4 // the function asked nothing for the record
)

// String is for people.
func (o Outcome) String() string {
	switch o {
	case Answered:
		return "answered"
	case TimedOut:
		return "timed out"
	case Refused:
		return "refused"
	case Broken:
		return "broken"
	case Unasked:
		return "not asked"
	}
	return fmt.Sprintf("outcome %d", uint32(o))
}

// Request is one that a function asks for. Target and Body share the memory that it was parsed from.
type Request struct {
	Record    uint32
	TimeoutMs uint32
	Target    []byte
	Body      []byte
}

// Append encodes r.
func (r *Request) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, r.Record)
	dst = le.AppendUint32(dst, r.TimeoutMs)
	dst = le.AppendUint32(dst, uint32(len(r.Target)))
	dst = le.AppendUint32(dst, uint32(len(r.Body)))
	return append(append(dst, r.Target...), r.Body...)
}

// ParseRequest reads the value of an ActionRequest.
func ParseRequest(p []byte) (Request, error) {
	if len(p) < RequestBytes {
		return Request{}, fmt.Errorf("request: %d bytes (expected >= %d)", len(p), RequestBytes)
	}
	le := binary.LittleEndian
	parts, err := split("request", p[RequestBytes:], le.Uint32(p[8:]), le.Uint32(p[12:]))
	if err != nil {
		return Request{}, err
	}
	return Request{Record: le.Uint32(p), TimeoutMs: le.Uint32(p[4:]), Target: parts[0], Body: parts[1]}, nil
}

// Answer is what a function is told of a request.
type Answer struct {
	Outcome Outcome
	Code    uint32
	Body    []byte
}

// Append encodes a.
func (a *Answer) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(a.Outcome))
	dst = le.AppendUint32(dst, a.Code)
	return append(dst, a.Body...)
}

// ParseAnswer reads an element of ListAnswers.
func ParseAnswer(p []byte) (Answer, error) {
	if len(p) < AnswerBytes {
		return Answer{}, fmt.Errorf("answer: %d bytes (expected >= %d)", len(p), AnswerBytes)
	}
	le := binary.LittleEndian
	return Answer{Outcome: Outcome(le.Uint32(p)), Code: le.Uint32(p[4:]), Body: p[AnswerBytes:]}, nil
}

// HTTPHeader is one line of a message's head.
type HTTPHeader struct{ Name, Value string }

// HTTPRequest is what the client "http" is asked.
type HTTPRequest struct {
	Method, URL string
	Headers     []HTTPHeader
	Body        []byte
}

// Append encodes r.
func (r *HTTPRequest) Append(dst []byte) []byte {
	le := binary.LittleEndian
	headers := appendHeaders(nil, r.Headers)
	for _, n := range []int{len(r.Method), len(r.URL), len(headers), len(r.Body)} {
		dst = le.AppendUint32(dst, uint32(n))
	}
	dst = append(append(dst, r.Method...), r.URL...)
	return append(append(dst, headers...), r.Body...)
}

// ParseHTTPRequest reads the body of a request to the client "http". Body shares the memory of p.
func ParseHTTPRequest(p []byte) (HTTPRequest, error) {
	if len(p) < HTTPRequestBytes {
		return HTTPRequest{}, fmt.Errorf("http request: %d bytes (expected >= %d)", len(p), HTTPRequestBytes)
	}
	le := binary.LittleEndian
	parts, err := split("http request", p[HTTPRequestBytes:], le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:]), le.Uint32(p[12:]))
	if err != nil {
		return HTTPRequest{}, err
	}
	headers, err := parseHeaders(parts[2])
	return HTTPRequest{Method: string(parts[0]), URL: string(parts[1]), Headers: headers, Body: parts[3]}, err
}

// HTTPResponse is the body of an answer of the client "http".
type HTTPResponse struct {
	Headers []HTTPHeader
	Body    []byte
}

// Append encodes r.
func (r *HTTPResponse) Append(dst []byte) []byte {
	le := binary.LittleEndian
	headers := appendHeaders(nil, r.Headers)
	dst = le.AppendUint32(dst, uint32(len(headers)))
	dst = le.AppendUint32(dst, uint32(len(r.Body)))
	return append(append(dst, headers...), r.Body...)
}

// ParseHTTPResponse reads the body of an answer of the client "http". Body shares the memory of p.
func ParseHTTPResponse(p []byte) (HTTPResponse, error) {
	if len(p) < HTTPResponseBytes {
		return HTTPResponse{}, fmt.Errorf("http response: %d bytes (expected >= %d)", len(p), HTTPResponseBytes)
	}
	le := binary.LittleEndian
	parts, err := split("http response", p[HTTPResponseBytes:], le.Uint32(p), le.Uint32(p[4:]))
	if err != nil {
		return HTTPResponse{}, err
	}
	headers, err := parseHeaders(parts[0])
	return HTTPResponse{Headers: headers, Body: parts[1]}, err
}

func appendHeaders(dst []byte, all []HTTPHeader) []byte {
	le := binary.LittleEndian
	for _, h := range all {
		dst = le.AppendUint32(dst, uint32(len(h.Name)))
		dst = le.AppendUint32(dst, uint32(len(h.Value)))
		dst = append(append(dst, h.Name...), h.Value...)
	}
	return dst
}

func parseHeaders(p []byte) (all []HTTPHeader, err error) {
	le := binary.LittleEndian
	for len(p) > 0 {
		if len(p) < 8 {
			return nil, fmt.Errorf("headers[%d]: %d bytes (expected >= 8)", len(all), len(p))
		}
		name, value := uint64(le.Uint32(p)), uint64(le.Uint32(p[4:]))
		if p = p[8:]; name+value > uint64(len(p)) {
			return nil, fmt.Errorf("headers[%d]: name of %d and value of %d bytes, %d left", len(all), name, value, len(p))
		}
		all = append(all, HTTPHeader{Name: string(p[:name]), Value: string(p[name : name+value])})
		p = p[name+value:]
	}
	return all, nil
}

// split cuts p into parts of these lengths, which must be all of it.
func split(what string, p []byte, lengths ...uint32) (parts [][]byte, err error) {
	have, sum := uint64(len(p)), uint64(0)
	for _, n := range lengths {
		if sum += uint64(n); sum > have {
			break
		}
		parts = append(parts, p[sum-uint64(n):sum:sum])
	}
	if sum != have {
		return nil, fmt.Errorf("%s: parts of %d bytes behind its header (have %d)", what, sum, have)
	}
	return parts, nil
}
