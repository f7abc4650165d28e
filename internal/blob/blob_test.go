package blob_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/blob"
	"github.com/wasmill/wasmill/internal/blob/blobtest"
	"github.com/wasmill/wasmill/internal/blob/s3test"
)

func TestDir(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return opened(t, filepath.Join(t.TempDir(), "a/b")) })
}

func TestMemory(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blob.NewMemory() })
}

func TestS3(t *testing.T) {
	server := s3test.Start(t)
	n := 0
	blobtest.Run(t, func(t *testing.T) blob.Store {
		n++
		return opened(t, server.URL(fmt.Sprint("suite/", n)))
	})
}

func opened(t *testing.T, url string) blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJoin(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"/var/lib", "/var/lib/j/7"},
		{"/var/lib/", "/var/lib/j/7"},
		{"dir?x", "dir?x/j/7"},
		{"file:///var/lib", "file:///var/lib/j/7"},
		{"s3://b", "s3://b/j/7"},
		{"s3://b/", "s3://b/j/7"},
		{"s3://b/p?region=x", "s3://b/p/j/7?region=x"},
		{"s3://b/p/?endpoint=http://h:1", "s3://b/p/j/7?endpoint=http://h:1"},
	} {
		if got := blob.Join(c.url, "j", "7"); got != c.want {
			t.Errorf("%s: %s (expected %s)", c.url, got, c.want)
		}
	}
}

// What is wrong with a URL is said, and nothing in it that may be a secret.
func TestURLsThatAreRefused(t *testing.T) {
	for url, want := range map[string]string{
		"ftp://secret@host/x":       `scheme "ftp"`,
		"s3://":                     "names no bucket",
		"s3:///p":                   "names no bucket",
		"s3://key:secret@bucket/p":  "credentials do not belong there",
		"s3://key:sec%ret@bucket/p": "invalid URL escape",
		"s3://bucket:9000/p":        "a server is named by endpoint=",
		"s3://bucket/p?endpoint=http://k:secret@h": "credentials do not belong there",
		"s3://bucket/p?endpoint=host:9000":         "is not http://HOST:PORT",
		"s3://bucket/p?endpoint=http://h/path":     "is not http://HOST:PORT",
		"s3://bucket/p?endpoint=":                  "endpoint wants one value",
		"s3://bucket/p?region=a&region=b":          "region wants one value",
		"s3://bucket/p?secret=x":                   `parameter "secret"`,
		"s3://bucket/a//b":                         "element \"\"",
		"s3://bucket/a b":                          "character",
		"s3://bucket/p#f":                          "fragment",
	} {
		_, err := blob.Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(strings.ReplaceAll(err.Error(), `parameter "secret"`, ""), "secret@") {
			t.Errorf("%s: %v (expected %q, and no secret)", url, err, want)
		}
	}
}
