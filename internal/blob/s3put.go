package blob

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	smallestPart = 8 << 20 // S3 asks for 5 MiB; 30 s a try want 280 KB/s
	mostParts    = 10_000  // S3's limit
	partsAtOnce  = 2       // in memory, of one object
	abortLimit   = 10 * time.Second
)

// partSize is that of all parts of an object but the last. An object of unknown size may have 80 GB.
func partSize(size int64) int64 {
	const step = 1 << 20
	return max(smallestPart, (size/mostParts/step+1)*step)
}

// anyName is what an object's name must not match: nothing may have it yet.
var anyName = aws.String("*")

// uploadKey is the metadata by which an object is known to be of one upload. A request is tried again when its answer was
// lost; the second try of one that was carried out finds the name taken, by the same upload.
const uploadKey = "wasmill-upload"

// upload makes one object.
type upload struct {
	store *S3
	key   string
	id    string // no other upload has it
}

func (s *S3) newUpload(name string) *upload { return &upload{s, s.prefix + name, rand.Text()} }

// Put implements Store. What fits one part is put by one request; the rest in parts, which are made an object at the end.
func (s *S3) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := s.newUpload(name).put(ctx, &sized{ctx: ctx, r: r, size: size}, size); err != nil {
		return fmt.Errorf("put %s into %s: %w", name, s.place.short(), err)
	}
	return nil
}

func (u *upload) put(ctx context.Context, r io.Reader, size int64) error {
	room := partSize(size)
	if size >= 0 {
		room = min(room, size+1) // so that its end is seen at once
	}
	first, last, err := readPart(r, make([]byte, room))
	switch {
	case err != nil:
		return err
	case last:
		return u.whole(ctx, first)
	}
	return u.parts(ctx, first, r)
}

// readPart fills b, and says whether that was the last of r.
func readPart(r io.Reader, b []byte) (part []byte, last bool, err error) {
	n, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return b[:n], true, nil
	}
	return b[:n], false, err
}

// whole puts the object by one request.
func (u *upload) whole(ctx context.Context, data []byte) error {
	_, err := u.store.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.store.place.bucket, Key: &u.key, Body: bytes.NewReader(data), IfNoneMatch: anyName, Metadata: map[string]string{uploadKey: u.id},
	}, againOnConflict)
	if err != nil {
		return u.settle(ctx, err)
	}
	return nil
}

// againOnConflict has a request tried again that met another one for the same name.
func againOnConflict(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict", "OperationAborted")
}

// parts puts the object in parts; more is what follows the first, if there is anything.
func (u *upload) parts(ctx context.Context, first []byte, more io.Reader) (err error) {
	s := u.store
	made, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.place.bucket, Key: &u.key, Metadata: map[string]string{uploadKey: u.id}, ChecksumAlgorithm: u.checksums(),
	})
	if err != nil {
		return s.explain(ctx, err)
	}
	parts, err := u.send(ctx, made.UploadId, first, more)
	if err != nil {
		return errors.Join(err, u.abort(ctx, made.UploadId))
	}
	_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.place.bucket, Key: &u.key, UploadId: made.UploadId, IfNoneMatch: anyName, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err == nil {
		return nil
	}
	aborted := u.abort(ctx, made.UploadId) // before it is asked what has become of it: then it cannot become an object any more
	if err = u.settle(ctx, err); err != nil {
		return errors.Join(err, aborted)
	}
	return nil
}

// send sends the parts, some at once.
func (u *upload) send(outer context.Context, id *string, part []byte, more io.Reader) ([]types.CompletedPart, error) {
	size := len(part)
	free := make(chan []byte, partsAtOnce) // has room for all
	for range partsAtOnce - 1 {
		free <- make([]byte, size)
	}
	sending, ctx := errgroup.WithContext(outer)
	var sent []*types.CompletedPart // each is written by its sender
	last := more == nil
	var err error
	for err == nil {
		data, done, number := part, &types.CompletedPart{}, int32(len(sent)+1)
		sent = append(sent, done)
		sending.Go(func() (err error) {
			*done, err = u.sendPart(ctx, id, number, data)
			free <- data[:size]
			return err
		})
		if last {
			break
		}
		select {
		case part = <-free:
		case <-ctx.Done(): // one has failed, or the object is not wanted any more
			return nil, cmp.Or(sending.Wait(), outer.Err())
		}
		if part, last, err = readPart(more, part); last && len(part) == 0 {
			break
		}
		if err == nil && number == mostParts {
			err = fmt.Errorf("%d parts of %d bytes are the most that an object can have", mostParts, size)
		}
	}
	if err = errors.Join(sending.Wait(), err); err != nil {
		return nil, err
	}
	all := make([]types.CompletedPart, len(sent))
	for i, p := range sent {
		all[i] = *p
	}
	return all, nil
}

func (u *upload) sendPart(ctx context.Context, id *string, number int32, data []byte) (types.CompletedPart, error) {
	s := u.store
	p, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &s.place.bucket, Key: &u.key, UploadId: id, PartNumber: &number, Body: bytes.NewReader(data), ChecksumAlgorithm: u.checksums(),
	})
	if err != nil {
		return types.CompletedPart{}, fmt.Errorf("part %d: %w", number, s.explain(ctx, err))
	}
	return types.CompletedPart{PartNumber: &number, ETag: p.ETag, ChecksumCRC32: p.ChecksumCRC32}, nil
}

// checksums are what the server holds parts against. Servers that know of none are for AWS_REQUEST_CHECKSUM_CALCULATION.
func (u *upload) checksums() types.ChecksumAlgorithm {
	if u.store.client.Options().RequestChecksumCalculation == aws.RequestChecksumCalculationWhenRequired {
		return ""
	}
	return types.ChecksumAlgorithmCrc32
}

// abort deletes the parts that were sent, also when ctx has ended. Those that are left by a process that is killed here, or
// by a server that is gone, are for Sweep, or for the bucket's own rule for incomplete uploads.
func (u *upload) abort(ctx context.Context, id *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortLimit)
	defer cancel()
	_, err := u.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.store.place.bucket, Key: &u.key, UploadId: id})
	if err == nil || isGone(err) {
		return nil
	}
	return fmt.Errorf("abort the upload: %w", u.store.explain(ctx, err))
}

// Sweep implements Sweeper: it aborts uploads. Where they may not be listed they are left to the bucket's own rule.
func (s *S3) Sweep(ctx context.Context) error {
	pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.place.bucket, Prefix: &s.prefix})
	var errs []error
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if status, _, _, _ := s3Refusal(err); status == http.StatusForbidden || status == http.StatusNotImplemented {
			break
		} else if err != nil {
			return fmt.Errorf("list the uploads below %s: %w", s.place.short(), s.explain(ctx, err))
		}
		for _, left := range page.Uploads {
			u := &upload{store: s, key: aws.ToString(left.Key)}
			errs = append(errs, u.abort(ctx, left.UploadId))
		}
	}
	return errors.Join(errs...)
}

// settle says what has become of an upload whose making was answered by an error: nil if the object is this upload's.
func (u *upload) settle(ctx context.Context, answer error) error {
	s := u.store
	if ctx.Err() != nil || !mayBeDone(answer) {
		return s.explain(ctx, answer)
	}
	there, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.place.bucket, Key: &u.key})
	switch {
	case err == nil && there.Metadata[uploadKey] == u.id:
		return nil
	case err == nil && isTaken(answer):
		return ErrExists
	}
	return s.explain(ctx, answer)
}

// check sees whether the server refuses a name that is taken, in both ways of making an object, and whether all else that
// is needed is allowed.
func (s *S3) check(ctx context.Context) error {
	name := "check-" + rand.Text()
	for _, way := range []struct {
		how string
		put func(u *upload) error
	}{
		{"PutObject", func(u *upload) error { return u.whole(ctx, []byte(name)) }},
		{"CompleteMultipartUpload", func(u *upload) error { return u.parts(ctx, []byte(name), nil) }},
	} {
		err := way.put(s.newUpload(name))
		if err == nil {
			if err = way.put(s.newUpload(name)); err == nil {
				err = fmt.Errorf("its %s writes over objects in spite of If-None-Match: * (checkpoints would not be safe there; use a server that refuses)", way.how)
			} else if errors.Is(err, ErrExists) {
				err = nil
			}
		}
		if err == nil {
			_, err = Read(ctx, s, name)
		}
		if err == nil {
			err = s.List(ctx, "", func(Info) bool { return false })
		}
		if err = errors.Join(err, s.Delete(context.WithoutCancel(ctx), name)); err != nil {
			return fmt.Errorf("check object store %s: %w", s.place.short(), err)
		}
	}
	return nil
}
