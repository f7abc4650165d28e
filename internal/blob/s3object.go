package blob

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// s3Object reads an object by requests for parts of it.
type s3Object struct {
	ctx   context.Context
	store *S3
	name  string
	size  int64
}

// Open implements Store.
func (s *S3) Open(ctx context.Context, name string) (Object, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	key := aws.String(s.prefix + name)
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.place.bucket, Key: key})
	if err == nil {
		return &s3Object{ctx, s, name, aws.ToInt64(head.ContentLength)}, nil
	}
	if status, _, _, _ := s3Refusal(err); status >= 400 && status < 500 { // what is answered to HEAD has no room for the reason
		if _, why := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.place.bucket, Key: key, Range: aws.String("bytes=0-0")}); why != nil {
			err = why
		}
	}
	return nil, fmt.Errorf("open %s in %s: %w", name, s.place.short(), s.explain(ctx, err))
}

func (o *s3Object) Size() int64 { return o.size }

func (o *s3Object) Close() error { return nil }

// ReadAt implements io.ReaderAt. io.EOF is said of the object's end alone: an answer that breaks off is another error, lest
// an object be taken for damaged.
func (o *s3Object) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read %s: offset %d: %w", o.name, at, fs.ErrInvalid)
	}
	want := p[:min(int64(len(p)), max(o.size-at, 0))]
	n, err := o.fill(want, at)
	if err != nil {
		return n, fmt.Errorf("read %s in %s: %w", o.name, o.store.place.short(), err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill reads on where an answer has broken off, as often as a request is tried.
func (o *s3Object) fill(p []byte, at int64) (n int, err error) {
	for try := 1; n < len(p); try++ {
		var m int
		var broken error
		if m, broken, err = o.request(p[n:], at+int64(n)); err != nil {
			return n, err
		}
		n += m
		if broken == nil || n == len(p) {
			continue
		}
		if try == s3Tries {
			return n, fmt.Errorf("the answer breaks off after %d bytes: %v: %w", n, broken, ErrUnavailable)
		}
		select {
		case <-time.After(min(s3Backoff<<(try-1), s3BackoffMax)):
		case <-o.ctx.Done():
			return n, o.ctx.Err()
		}
	}
	return n, nil
}

// request makes one request. It is broken when its answer is shorter than it should be.
func (o *s3Object) request(p []byte, at int64) (n int, broken, err error) {
	answer, err := o.store.client.GetObject(o.ctx, &s3.GetObjectInput{
		Bucket: &o.store.place.bucket, Key: aws.String(o.store.prefix + o.name), Range: aws.String(fmt.Sprintf("bytes=%d-%d", at, at+int64(len(p))-1)),
	})
	if err != nil {
		return 0, nil, o.store.explain(o.ctx, err)
	}
	defer answer.Body.Close()
	if got := aws.ToInt64(answer.ContentLength); got != int64(len(p)) {
		return 0, nil, fmt.Errorf("%d bytes were answered to a request for %d at %d", got, len(p), at)
	}
	n, broken = io.ReadFull(answer.Body, p)
	return n, broken, nil
}
