package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Open opens the store that a URL names: a directory as PATH or file://PATH, or s3://BUCKET/PREFIX?region=NAME&endpoint=URL.
// A directory is made if needed; of a bucket nothing is asked yet.
func Open(ctx context.Context, url string) (Store, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	switch {
	case !ok:
		return OpenDir(url)
	case scheme == "file":
		return OpenDir(rest)
	case scheme == s3Scheme:
		return OpenS3(ctx, url)
	}
	return nil, fmt.Errorf("open object store %s://...: scheme %q (expected a directory, or s3://BUCKET/PREFIX)", scheme, scheme)
}

// There sees that the directory that a URL names is one, for who would only read it and does not want Open to make it. Of a
// bucket nothing is asked. The error does not name the directory.
func There(url string) error {
	path, is := directory(url)
	if !is {
		return nil
	}
	return isDirectory(path)
}

// Fits sees that Open could make the directory that a URL names, for who does not want it made yet. The error does not name the
// directory.
func Fits(url string) error {
	path, is := directory(url)
	if !is {
		return nil
	}
	for {
		path = filepath.Dir(path)
		err := isDirectory(path)
		if errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
			continue
		}
		if err != nil {
			return err
		}
		return syscall.Access(path, mayWrite)
	}
}

// mayWrite asks whether names can be made in a directory: W_OK and X_OK.
const mayWrite = 2 | 1

func directory(url string) (path string, is bool) {
	scheme, rest, ok := strings.Cut(url, "://")
	switch {
	case !ok:
		return url, true
	case scheme == "file":
		return rest, true
	}
	return "", false
}

func isDirectory(path string) error {
	info, err := os.Stat(path)
	var fault *fs.PathError
	switch {
	case errors.As(err, &fault):
		return fault.Err
	case err == nil && !info.IsDir():
		return syscall.ENOTDIR
	}
	return err
}

// Join is the URL of what lies below a store's, or is the name of a part of it.
func Join(url string, elements ...string) string {
	query := ""
	if strings.HasPrefix(url, s3Scheme+"://") {
		if i := strings.IndexByte(url, '?'); i >= 0 {
			url, query = url[:i], url[i:]
		}
	}
	for _, e := range elements {
		url = strings.TrimSuffix(url, "/") + "/" + e
	}
	return url + query
}

// Check opens the store that a URL names and sees whether it keeps its promises: that it is there, may be written to, and
// refuses a name that is taken. A server that does not know how to refuse would let one process write over what another
// one has decided.
func Check(ctx context.Context, url string) error {
	s, err := Open(ctx, url)
	if err != nil {
		return err
	}
	if s3, ok := s.(*S3); ok {
		err = s3.check(ctx)
	}
	return errors.Join(err, s.Close())
}
