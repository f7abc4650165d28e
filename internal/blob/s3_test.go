package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/wasmill/wasmill/internal/blob/s3test"
)

// testLarge is three parts.
var testLarge = bytes.Repeat([]byte("0123456789abcdef"), (2*smallestPart+1000)/16)

func openS3(t *testing.T, url string) *S3 {
	t.Helper()
	s, err := OpenS3(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// impatient is the store with a client that tries twice, soon, for half a second.
func impatient(s *S3) *S3 {
	client := s3.New(s.client.Options(), func(o *s3.Options) {
		o.HTTPClient = awshttp.NewBuildableClient().WithTimeout(500 * time.Millisecond)
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.BaseDelay = 2, time.Millisecond })
	})
	return newS3(client, s.place)
}

// Requests, as tests of faults tell them apart.
func isPut(r *http.Request) bool  { return r.Method == http.MethodPut && !r.URL.Query().Has("uploadId") }
func isPart(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Query().Has("uploadId") }
func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}
func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Get("x-id") == "GetObject"
}
func isAnything(r *http.Request) bool  { return true }
func isNotDelete(r *http.Request) bool { return r.Method != http.MethodDelete }

// meets has the first n requests of a kind meet a fault, and counts them.
func meets(server *s3test.Server, kind func(*http.Request) bool, n int32, fault s3test.Fault) *atomic.Int32 {
	met := new(atomic.Int32)
	server.Break(func(r *http.Request) s3test.Fault {
		if !kind(r) || met.Add(1) > n {
			return s3test.Works
		}
		return fault
	})
	return met
}

const always = 1 << 30

// noParts fails the test if an upload is left that was neither completed nor aborted.
func noParts(t *testing.T, s *S3) {
	t.Helper()
	all, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.place.bucket})
	if err != nil || len(all.Uploads) > 0 {
		t.Errorf("%d uploads are left, %v (expected none)", len(all.Uploads), err)
	}
}

// Whatever a request meets once or twice, an object is put once and read as it is, and no parts stay.
func TestS3IsTriedAgain(t *testing.T) {
	server := s3test.Start(t)
	n := 0
	for name, c := range map[string]struct {
		kind  func(*http.Request) bool
		fault s3test.Fault
		times int32
	}{
		"the first are refused":               {isAnything, s3test.Refused, 3},
		"refused":                             {isPut, s3test.Refused, 2},
		"reset in the middle of it":           {isPut, s3test.Reset, 2},
		"done, and not answered":              {isPut, s3test.Forgot, 1},
		"done, and not answered twice":        {isPut, s3test.Forgot, 2},
		"a part is refused":                   {isPart, s3test.Refused, 2},
		"reset in the middle of a part":       {isPart, s3test.Reset, 2},
		"a part is done, and not answered":    {isPart, s3test.Forgot, 2},
		"refused at the end":                  {isComplete, s3test.Refused, 2},
		"reset at the end":                    {isComplete, s3test.Reset, 1},
		"done at the end, and not answered":   {isComplete, s3test.Forgot, 1},
		"done at the end, twice not answered": {isComplete, s3test.Forgot, 2},
		"an answer breaks off":                {isGet, s3test.Reset, 2},
		"an answer is refused":                {isGet, s3test.Refused, 2},
		"slow":                                {isAnything, s3test.Slow, 2},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			s := openS3(t, server.URL(fmt.Sprint("again/", n)))
			met := meets(server, c.kind, c.times, c.fault)
			defer server.Break(nil)
			for name, content := range map[string][]byte{"small": []byte("small"), "large": testLarge} {
				if err := s.Put(t.Context(), name, bytes.NewReader(content), int64(len(content))); err != nil {
					t.Fatal(err)
				}
				got, err := Read(t.Context(), s, name)
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: %d bytes, %v (expected what was put)", name, len(got), err)
				}
				if err := s.Put(t.Context(), name, bytes.NewReader(content), int64(len(content))); !errors.Is(err, ErrExists) {
					t.Errorf("%s: put by another: %v (expected ErrExists)", name, err)
				}
			}
			if met.Load() < c.times {
				t.Errorf("%d requests met the fault (expected %d)", met.Load(), c.times)
			}
			noParts(t, s)
		})
	}
}

// A request that is never answered is tried again in time.
func TestS3StalledRequest(t *testing.T) {
	server := s3test.Start(t)
	s := impatient(openS3(t, server.URL("stalled")))
	for name, kind := range map[string]func(*http.Request) bool{"small": isPut, "large": isPart} {
		content := testLarge
		if name == "small" {
			content = []byte("x")
		}
		met := meets(server, kind, 1, s3test.Stalled)
		if err := s.Put(t.Context(), name, bytes.NewReader(content), -1); err != nil || met.Load() == 0 {
			t.Errorf("%s: %v, met %d times", name, err, met.Load())
		}
	}
}

// What fails for good leaves neither object nor parts, and says that the store may be there again.
func TestS3FailedUploadsLeaveNothing(t *testing.T) {
	server := s3test.Start(t)
	s := impatient(openS3(t, server.URL("failed")))
	for name, c := range map[string]struct {
		kind  func(*http.Request) bool
		fault s3test.Fault
		data  []byte
	}{
		"small-refused":    {isPut, s3test.Refused, []byte("x")},
		"small-stalled":    {isPut, s3test.Stalled, []byte("x")},
		"part-refused":     {isPart, s3test.Refused, testLarge},
		"part-reset":       {isPart, s3test.Reset, testLarge},
		"part-stalled":     {isPart, s3test.Stalled, testLarge},
		"complete-refused": {isComplete, s3test.Refused, testLarge},
		"complete-stalled": {isComplete, s3test.Stalled, testLarge},
	} {
		meets(server, c.kind, always, c.fault)
		err := s.Put(t.Context(), name, bytes.NewReader(c.data), int64(len(c.data)))
		server.Break(nil)
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrExists) {
			t.Errorf("%s: %v (expected ErrUnavailable)", name, err)
		}
		if _, err := s.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: open: %v (expected ErrNotExist)", name, err)
		}
		noParts(t, s)
	}
}

// What a killed process was sending is swept away, and no other's.
func TestS3Sweep(t *testing.T) {
	server := s3test.Start(t)
	s := openS3(t, server.URL("swept"))
	begin := func(s *S3, name string) *s3.CreateMultipartUploadOutput {
		key := s.prefix + name
		made, err := s.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &s.place.bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	begin(s, "a")
	begin(s, "b/c")
	other := openS3(t, server.URL("swept-not"))
	kept := begin(other, "a")
	if err := s.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Sub("nothing").(Sweeper).Sweep(t.Context()); err != nil {
		t.Errorf("sweep where nothing is: %v", err)
	}
	all, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.place.bucket})
	if err != nil || len(all.Uploads) != 1 || *all.Uploads[0].UploadId != *kept.UploadId {
		t.Errorf("%d uploads are left, %v (expected the other's)", len(all.Uploads), err)
	}
	meets(server, func(r *http.Request) bool { return r.URL.Query().Has("uploads") }, always, s3test.Denied)
	if err := s.Sweep(t.Context()); err != nil {
		t.Errorf("sweep where it is not allowed: %v", err)
	}
}

func TestS3AbortsWhatIsGivenUp(t *testing.T) {
	server := s3test.Start(t)
	s := openS3(t, server.URL("given-up"))
	broken := io.MultiReader(bytes.NewReader(testLarge), iotest.ErrReader(errors.New("the disk is broken")))
	if err := s.Put(t.Context(), "reader", broken, -1); err == nil || !strings.Contains(err.Error(), "the disk is broken") {
		t.Errorf("put of a reader that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var parts atomic.Int32
	server.Break(func(r *http.Request) s3test.Fault {
		if isPart(r) && parts.Add(1) == 2 {
			cancel()
			return s3test.Stalled
		}
		return s3test.Works
	})
	if err := s.Put(ctx, "canceled", bytes.NewReader(testLarge), int64(len(testLarge))); !errors.Is(err, context.Canceled) || parts.Load() < 2 {
		t.Errorf("put that was canceled after %d parts: %v (expected Canceled)", parts.Load(), err)
	}
	server.Break(nil)
	for _, name := range []string{"reader", "canceled"} {
		if _, err := s.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open %s: %v (expected ErrNotExist)", name, err)
		}
	}
	noParts(t, s)
}

// An answer that breaks off is no short object: that would be taken for damage.
func TestS3BrokenAnswerIsNoEnd(t *testing.T) {
	server := s3test.Start(t)
	s := openS3(t, server.URL("broken"))
	if err := s.Put(t.Context(), "o", strings.NewReader("content"), 7); err != nil {
		t.Fatal(err)
	}
	o, err := impatient(s).Open(t.Context(), "o")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	met := meets(server, func(r *http.Request) bool { return isGet(r) && r.Header.Get("Range") == "bytes=6-6" }, always, s3test.Reset)
	if _, err := o.ReadAt(make([]byte, 1), 6); !errors.Is(err, ErrUnavailable) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v (expected ErrUnavailable, no end)", err)
	}
	if met.Load() < 2 {
		t.Errorf("it was tried %d times", met.Load())
	}
}

// A server that writes over what is there is found out, in whichever way it does.
func TestCheckFindsAServerThatOverwrites(t *testing.T) {
	server := s3test.Start(t)
	for want, kind := range map[string]func(*http.Request) bool{"its PutObject writes over": isPut, "its CompleteMultipartUpload writes over": isComplete} {
		meets(server, kind, always, s3test.Tolerant)
		if err := Check(t.Context(), server.URL("tolerant")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v (expected %q)", err, want)
		}
	}
	server.Break(nil)
	s := openS3(t, server.URL(""))
	if err := s.List(t.Context(), "", func(i Info) bool { t.Errorf("%s is left", i.Name); return true }); err != nil {
		t.Error(err)
	}
}

// Errors name the place, say what can be done, and hold no secret.
func TestS3Errors(t *testing.T) {
	server := s3test.Start(t)
	here := server.URL("p")
	place := func(old, new string) string { return strings.Replace(here, old, new, 1) }
	for name, c := range map[string]struct {
		url         string
		prepare     func(t *testing.T)
		want        []string
		unavailable bool
	}{
		"no bucket": {url: place(s3test.Bucket, "nobody-has-it"), want: []string{"bucket nobody-has-it does not exist", "make it"}},
		"region":    {url: here + "&region=eu-west-1", want: []string{`is not in region "eu-west-1"`, "region="}},
		"denied":    {prepare: func(*testing.T) { meets(server, isNotDelete, always, s3test.Denied) }, want: []string{"access is denied", "s3:ListBucket"}},
		"secret":    {prepare: func(t *testing.T) { t.Setenv("AWS_SECRET_ACCESS_KEY", s3test.Secret+"x") }, want: []string{"the credentials are refused", "AWS_PROFILE"}},
		"no credentials": {prepare: func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", "")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		}, want: []string{"there are no credentials", "AWS_ACCESS_KEY_ID"}},
		"unreachable": {prepare: func(*testing.T) { server.Stop() }, want: []string{server.Endpoint + " does not answer", "refused", "is it running"}, unavailable: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.url == "" {
				c.url = here
			}
			if c.prepare != nil {
				c.prepare(t)
			}
			defer func() {
				server.Break(nil)
				if name == "unreachable" {
					server.Again()
				}
			}()
			p, err := parseS3(c.url)
			if err != nil {
				t.Fatal(err)
			}
			client, err := newS3Client(t.Context(), p.region, p.endpoint) // with this test's environment
			if err != nil {
				says(t, "make the client", err, c.want, c.unavailable)
				return
			}
			s := impatient(newS3(client, p))
			_, err = s.Open(t.Context(), "o")
			says(t, "open", err, c.want[:1], c.unavailable)
			says(t, "put", s.Put(t.Context(), "o", strings.NewReader("x"), 1), c.want, c.unavailable)
			says(t, "put large", s.Put(t.Context(), "o", bytes.NewReader(testLarge), -1), c.want, c.unavailable)
			says(t, "list", s.List(t.Context(), "", func(Info) bool { return true }), c.want, c.unavailable)
			if name != "denied" { // the front denies what is no DELETE request
				says(t, "delete", s.Delete(t.Context(), "o"), c.want, c.unavailable)
			}
		})
	}
}

func says(t *testing.T, what string, err error, want []string, unavailable bool) {
	t.Helper()
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrExists) || errors.Is(err, ErrUnavailable) != unavailable || strings.Contains(err.Error(), s3test.Secret) {
		t.Errorf("%s: %v (unavailable: %v)", what, err, unavailable)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v (expected %q)", what, err, w)
		}
	}
}

func TestPartSize(t *testing.T) {
	for size, want := range map[int64]int64{-1: 8 << 20, 0: 8 << 20, 80 << 30: 9 << 20, 5 << 40: 525 << 20} {
		if got := partSize(size); got != want || size > mostParts*got {
			t.Errorf("%d: %d (expected %d)", size, got, want)
		}
	}
}
