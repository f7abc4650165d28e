package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// ErrUnavailable is in errors of a store that did not answer, or could not: it may do so the next time.
var ErrUnavailable = errors.New("the object store is not available")

// s3Refusal is what a server has said that it would not do.
func s3Refusal(err error) (status int, code, message string, header http.Header) {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.Response != nil {
		status, header = response.HTTPStatusCode(), response.Response.Header
	}
	var refused smithy.APIError
	if errors.As(err, &refused) {
		code, message = refused.ErrorCode(), refused.ErrorMessage()
	}
	return status, code, message, header
}

// isGone says whether there is no such thing: object, upload or bucket.
func isGone(err error) bool {
	status, _, _, _ := s3Refusal(err)
	return status == http.StatusNotFound
}

// isTaken says whether the name was taken.
func isTaken(err error) bool {
	status, _, _, _ := s3Refusal(err)
	return status == http.StatusPreconditionFailed
}

// mayBeDone says whether what was asked for may have been done in spite of the error, perhaps by an earlier try.
func mayBeDone(err error) bool {
	switch status, _, _, _ := s3Refusal(err); status {
	case 0, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed, http.StatusTooManyRequests:
		return true
	default:
		return status >= 500 || status < 300 // an answer may begin well and end in an error
	}
}

// explain says in the words of Store, or with what can be done, why a request has failed.
func (s *S3) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	status, code, message, header := s3Refusal(err)
	switch code {
	case "NoSuchKey", "NotFound":
		return fs.ErrNotExist
	case "NoSuchUpload":
		return errors.New("the server has lost the upload")
	case "NoSuchBucket":
		return s.noBucket()
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed":
		return fmt.Errorf("the credentials are refused: %s: %s (look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE of this process, and at its clock)", code, message)
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "MovedPermanently", "TemporaryRedirect":
		hint := "say the bucket's own with region=NAME"
		if region := header.Get("X-Amz-Bucket-Region"); region != "" {
			hint = "say region=" + region
		}
		return fmt.Errorf("bucket %s is not in region %q: %s (%s)", s.place.bucket, s.client.Options().Region, message, hint)
	}
	switch {
	case status == http.StatusForbidden || code == "AccessDenied":
		return fmt.Errorf("access is denied: %s (the credentials need s3:ListBucket of the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload of its objects)", message)
	case status == 0:
		var request *url.Error
		if errors.As(err, &request) {
			err = request.Err
		}
		return fmt.Errorf("%s does not answer: %w: %w (is it running, and is that its address?)", s.server(), err, ErrUnavailable)
	case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		return fmt.Errorf("%s answers %d %s: %s: %w", s.server(), status, code, message, ErrUnavailable)
	}
	return fmt.Errorf("%s answers %d %s: %s", s.server(), status, code, message)
}

func (s *S3) noBucket() error {
	return fmt.Errorf("bucket %s does not exist (make it, or name another)", s.place.bucket)
}

// server names who is asked.
func (s *S3) server() string {
	o := s.client.Options()
	if o.BaseEndpoint != nil {
		return *o.BaseEndpoint
	}
	return "S3 in " + o.Region
}
