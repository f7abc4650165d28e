// Package blob keeps immutable objects under names: a directory, an S3 bucket, or memory. It knows names, bytes and
// durability; it refuses to know what an object means. An object that Put has answered for survives the loss of the
// process and, as far as the medium can promise it, of the machine. Nothing is ever changed in place.
package blob

import (
	"context"
	"errors"
	"io"
)

// ErrExists is returned by Put when the name is taken. The object that has it is untouched.
var ErrExists = errors.New("object exists")

// Store is a set of objects. Names are slash-separated relative paths of letters, digits, "-", "_" and "."; no element is
// empty, "." or "..". Methods may be called from many goroutines; every error that says an object is not there is
// fs.ErrNotExist.
type Store interface {
	// Put makes an object of size bytes of r (size -1: all of it), whole and durable, or nothing at all. A name that is
	// taken is refused with ErrExists: of two that put one name at once, one succeeds.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Open opens an object for reading anywhere in it.
	Open(ctx context.Context, name string) (Object, error)
	// List calls yield for the objects below prefix (a path whose elements are whole), in any order, until it answers
	// false. Objects that are being put are not among them.
	List(ctx context.Context, prefix string, yield func(Info) bool) error
	// Delete removes objects; those that are not there are no error.
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
	// Sweep removes all of that. A Put that is under way may fail, and then has made nothing.
	Sweep(ctx context.Context) error
}

// Object is an object that is open. Close it.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Info describes an object.
type Info struct {
	Name string
	Size int64
}
