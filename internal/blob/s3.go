package blob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const s3Scheme = "s3"

// S3 keeps objects in a bucket of a server that speaks S3 and refuses names that are taken (If-None-Match: *), which Check
// makes sure of.
type S3 struct {
	client *s3.Client
	place  s3Place
	prefix string // of keys: empty, or it ends with a slash
}

// s3Place is what a URL says.
type s3Place struct {
	bucket, prefix   string
	region, endpoint string // as in the URL: empty is what the environment says
}

// OpenS3 opens s3://BUCKET/PREFIX?region=NAME&endpoint=URL. Credentials come from where AWS's own tools take them (environment,
// shared configuration, the machine's role), and so does the region if the URL has none.
func OpenS3(ctx context.Context, url string) (*S3, error) {
	p, err := parseS3(url)
	if err != nil {
		return nil, err
	}
	client, err := s3Client(ctx, p.region, p.endpoint)
	if err != nil {
		return nil, fmt.Errorf("open object store %s: %w", p.short(), err)
	}
	return newS3(client, p), nil
}

func newS3(client *s3.Client, p s3Place) *S3 {
	s := &S3{client: client, place: p}
	if p.prefix != "" {
		s.prefix = p.prefix + "/"
	}
	return s
}

// parseS3 reads a URL. What it says of one that is wrong does not repeat what may be a secret.
func parseS3(raw string) (p s3Place, err error) {
	wrong := func(format string, args ...any) (s3Place, error) {
		return p, fmt.Errorf("object store URL: %s (expected s3://BUCKET/PREFIX?region=NAME&endpoint=URL)", fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(raw)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return wrong("%v", err)
	}
	const noSecrets = "credentials do not belong there; they are taken from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE)"
	switch {
	case u.User != nil:
		return wrong(noSecrets)
	case u.Host == "":
		return wrong("it names no bucket")
	case u.Port() != "":
		return wrong("%s is no bucket: a server is named by endpoint=", u.Host)
	case u.Fragment != "":
		return wrong("it has a fragment")
	}
	p.bucket, p.prefix = u.Host, strings.Trim(u.Path, "/")
	if p.prefix != "" {
		if err := CheckName(p.prefix); err != nil {
			return wrong("%v", err)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return wrong("its query cannot be read")
	}
	for name, values := range query {
		switch {
		case len(values) != 1 || values[0] == "":
			return wrong("%s wants one value", name)
		case name == "region":
			p.region = values[0]
		case name == "endpoint":
			p.endpoint = strings.TrimSuffix(values[0], "/")
		default:
			return wrong("parameter %q", name)
		}
	}
	if p.endpoint == "" {
		return p, nil
	}
	switch e, err := url.Parse(p.endpoint); {
	case err != nil:
		return wrong("its endpoint cannot be read")
	case e.User != nil:
		return wrong(noSecrets)
	case e.Scheme != "http" && e.Scheme != "https" || e.Host == "" || e.Path != "" || e.RawQuery != "" || e.Fragment != "":
		return wrong("endpoint %q is not http://HOST:PORT or https://HOST:PORT", p.endpoint)
	}
	return p, nil
}

// short names a place without what is the same for all of a bucket.
func (p s3Place) short() string {
	if p.prefix == "" {
		return s3Scheme + "://" + p.bucket
	}
	return s3Scheme + "://" + p.bucket + "/" + p.prefix
}

// URL implements Store.
func (s *S3) URL() string {
	var query []string
	if s.place.region != "" {
		query = append(query, "region="+url.QueryEscape(s.place.region))
	}
	if s.place.endpoint != "" {
		query = append(query, "endpoint="+s.place.endpoint)
	}
	if len(query) == 0 {
		return s.place.short()
	}
	return s.place.short() + "?" + strings.Join(query, "&")
}

// List implements Store.
func (s *S3) List(ctx context.Context, prefix string, yield func(Info) bool) error {
	below := s.prefix
	if prefix != "" {
		if err := CheckName(prefix); err != nil {
			return err
		}
		below += prefix + "/"
	}
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.place.bucket, Prefix: &below})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list %s: %w", s.place.short(), s.explain(ctx, err))
		}
		for _, o := range page.Contents {
			name := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
			if strings.HasSuffix(name, "/") { // what some tools make to show a folder
				continue
			}
			if !yield(Info{Name: name, Size: aws.ToInt64(o.Size)}) {
				return nil
			}
		}
	}
	return nil
}

// deleteBatch is how many objects one request may delete.
const deleteBatch = 1000

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, names ...string) error {
	var errs []error
	for len(names) > 0 {
		n := min(len(names), deleteBatch)
		batch := &types.Delete{Quiet: aws.Bool(true)}
		for _, name := range names[:n] {
			if err := CheckName(name); err != nil {
				errs = append(errs, err)
				continue
			}
			batch.Objects = append(batch.Objects, types.ObjectIdentifier{Key: aws.String(s.prefix + name)})
		}
		names = names[n:]
		if len(batch.Objects) == 0 {
			continue
		}
		done, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &s.place.bucket, Delete: batch})
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("delete from %s: %w", s.place.short(), s.explain(ctx, err)))...)
		}
		for _, e := range done.Errors {
			if code := aws.ToString(e.Code); code != "NoSuchKey" {
				errs = append(errs, fmt.Errorf("delete %s from s3://%s: %s: %s", aws.ToString(e.Key), s.place.bucket, code, aws.ToString(e.Message)))
			}
		}
	}
	return errors.Join(errs...)
}

// Sub implements Store.
func (s *S3) Sub(prefix string) Store {
	p := s.place
	p.prefix = s.prefix + prefix
	return newS3(s.client, p)
}

// Close implements Store. The client is the process's.
func (s *S3) Close() error { return nil }
