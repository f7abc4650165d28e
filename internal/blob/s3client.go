package blob

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// How patient a client is. A request is tried for about five seconds when it is refused at once, and for two and a half
// minutes when nothing comes back: then a checkpoint is given up, or an attempt ends and begins anew.
const (
	s3Tries      = 6
	s3Backoff    = 100 * time.Millisecond // before the second try, about; it doubles
	s3BackoffMax = 5 * time.Second
	s3Dial       = 5 * time.Second
	s3Answer     = 30 * time.Second // for one try, with a part of partSize in it
)

// s3Clients are the process's clients: each has connections that are kept and credentials that are renewed, so stores that
// are opened and closed share them.
var s3Clients = struct {
	mu   sync.Mutex
	made map[[2]string]*s3.Client // by region and endpoint; guarded by mu
}{made: map[[2]string]*s3.Client{}}

func s3Client(ctx context.Context, region, endpoint string) (*s3.Client, error) {
	key := [2]string{region, endpoint}
	s3Clients.mu.Lock()
	defer s3Clients.mu.Unlock()
	if c := s3Clients.made[key]; c != nil {
		return c, nil
	}
	c, err := newS3Client(ctx, region, endpoint)
	if err == nil {
		s3Clients.made[key] = c
	}
	return c, err
}

func newS3Client(ctx context.Context, region, endpoint string) (*s3.Client, error) {
	c, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(region),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(s3Answer).
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = s3Dial }).
			WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 16 })),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.BaseDelay, o.MaxBackoff = s3Tries, s3Backoff, s3BackoffMax
				o.RateLimiter = ratelimit.None // a store that was gone for long is asked as patiently as one that was not
			})
		}))
	if err != nil {
		return nil, fmt.Errorf("read AWS's configuration: %w", err)
	}
	if _, err := c.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("there are no credentials: %w (set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)", err)
	}
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
		o.UsePathStyle = o.BaseEndpoint != nil // buckets of other servers are seldom names in DNS
		if o.Region == "" && o.BaseEndpoint != nil {
			o.Region = "us-east-1" // what servers that have none expect to be called
		}
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	if client.Options().Region == "" {
		return nil, fmt.Errorf("no region is set (add region=NAME to the URL, or set AWS_REGION)")
	}
	return client, nil
}
