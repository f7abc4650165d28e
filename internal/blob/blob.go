// Package blob keeps immutable objects under names: a directory, an S3 bucket, or memory. It knows names, bytes and
// durability; it refuses to know what an object means. An object that Put has answered for survives the loss of the
// process and, as far as the medium can promise it, of the machine. Nothing is ever changed in place.
// What every store must do is told, and held, by package blobtest.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrExists is returned by Put when the name is taken. The object that has it is untouched.
var ErrExists = errors.New("object exists")

// Store is a set of objects. Names are slash-separated relative paths of letters, digits, "-", "_" and "."; no element is
// empty, "." or "..". Methods may be called from many goroutines; every error that says an object is not there is
// fs.ErrNotExist.
type Store interface {
	// Put makes an object of size bytes of r (size -1: all of it), whole and durable, or nothing at all. A name that is
	// taken is refused with ErrExists: of two that put one name at once, one succeeds. After another error the object may
	// be there all the same, whole: its maker cannot tell, and takes another name.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Open opens an object for reading anywhere in it, until ctx ends. Each ReadAt may be a request: read much at a time.
	Open(ctx context.Context, name string) (Object, error)
	// List calls yield for the objects below prefix (a path whose elements are whole), in any order, until it answers
	// false. Objects that are being put are not among them.
	List(ctx context.Context, prefix string, yield func(Info) bool) error
	// Delete removes objects; those that are not there are no error. One that is open can be read on, or reading it
	// says that it is not there.
	Delete(ctx context.Context, names ...string) error
	// Sub is the part of the store below a prefix, under names relative to it. It shares the store's resources.
	Sub(prefix string) Store
	// URL says where the store is, as Open takes it.
	URL() string
	// Close releases what the store holds. Objects that are open stay readable.
	Close() error
}

// Sweeper is a Store in which a writer that is killed leaves something behind.
type Sweeper interface {
	// Sweep removes all of that, and what else is no object. A Put that is under way may fail, and then has made nothing.
	Sweep(ctx context.Context) error
}

// Sweep sweeps a store, if writers that are killed leave something behind in it.
func Sweep(ctx context.Context, s Store) error {
	if sweeper, ok := s.(Sweeper); ok {
		return sweeper.Sweep(ctx)
	}
	return nil
}

// Object is an object that is open. Close it. ReadAt may be called from many goroutines.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Distant says whether reading an object is a request to another machine, each time.
func Distant(o Object) bool {
	_, s3 := o.(*s3Object)
	return s3
}

// Info describes an object.
type Info struct {
	Name string
	Size int64
}

// Read reads an object whole.
func Read(ctx context.Context, s Store, name string) ([]byte, error) {
	o, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	data := make([]byte, o.Size())
	if n, err := o.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("read %s: %d of %d bytes: %w", name, n, len(data), err)
	}
	return data, nil
}

// CheckName refuses what is no object's name.
func CheckName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || strings.HasPrefix(part, draftPrefix) {
			return fmt.Errorf("object name %q: element %q", name, part)
		}
		for _, r := range part {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
				return fmt.Errorf("object name %q: character %q", name, r)
			}
		}
	}
	return nil
}

// sized is all of r, which must be of that size unless it is -1.
type sized struct {
	ctx  context.Context
	r    io.Reader
	size int64
	n    int64
}

// Read implements io.Reader. It ends with an error where the reader is shorter or longer than it should be, or no longer wanted.
func (s *sized) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	if s.size >= 0 && (s.n > s.size || err == io.EOF && s.n != s.size) {
		return n, fmt.Errorf("%d bytes (expected %d)", s.n, s.size)
	}
	return n, err
}
