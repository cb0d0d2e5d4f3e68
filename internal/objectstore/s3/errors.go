package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/picobase/picobase/internal/objectstore"
)

// failure is an error of a request. It wraps what callers branch on and not
// the SDK's error, which holds URLs and whatever the server answered.
type failure struct {
	op, text string
	cause    error
}

func (f *failure) Error() string { return f.op + ": " + f.text }

func (f *failure) Unwrap() error { return f.cause }

// fail turns an error of the SDK into one that may be shown.
func (s *Store) fail(ctx context.Context, op, key string, err error) error {
	f := &failure{op: "s3: " + op}
	if key != "" {
		f.op += " " + quote(key)
	}
	if ctx.Err() != nil {
		f.text, f.cause = ctx.Err().Error(), ctx.Err()
		return f
	}
	code := errorCode(err)
	switch {
	case code == "NoSuchBucket":
		f.text = s.noBucket()
		return f
	case code == "NoSuchKey", code == "NotFound":
		f.cause = objectstore.ErrNotFound
	case status(err) == http.StatusPreconditionFailed, code == "ConditionalRequestConflict":
		f.cause = objectstore.ErrChanged
	}
	if f.cause != nil {
		f.text = f.cause.Error()
	} else {
		f.text = s.redact(s.describe(err, code))
	}
	return f
}

func (s *Store) noBucket() string {
	return fmt.Sprintf("bucket %q does not exist", s.cfg.Bucket)
}

func (s *Store) describe(err error, code string) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return s.unreachable(err)
	}
	text := code
	if message := api.ErrorMessage(); message != "" && message != code {
		text += ": " + message
	}
	switch {
	case code == "InvalidAccessKeyId":
		text = "the server does not know the access key (AccessKeyID): " + text
	case code == "SignatureDoesNotMatch":
		text = "the secret key is wrong (SecretAccessKey): " + text
	case status(err) == http.StatusUnauthorized, status(err) == http.StatusForbidden:
		text = "the credentials are not accepted for this bucket: " + text
	}
	return text + " (status " + strconv.Itoa(status(err)) + ")"
}

// unreachable describes a failure below S3.
func (s *Store) unreachable(err error) string {
	endpoint := s.cfg.Endpoint
	if endpoint == "" {
		endpoint = "S3 in " + s.cfg.Region
	}
	if code := status(err); code != 0 {
		return fmt.Sprintf("%s does not answer as S3 does (status %d)", endpoint, code)
	}
	var network net.Error
	// A write fails on the connection that was closed because no byte moved.
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || errors.As(err, &network) && network.Timeout() {
		return endpoint + " does not answer in time: " + innermost(err)
	}
	return endpoint + " cannot be reached: " + innermost(err)
}

// innermost drops the layers that repeat the request and its URL.
func innermost(err error) string {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err.Error()
	}
	return err.Error()
}

// redact is for texts of the server, which may echo what it was sent.
func (s *Store) redact(text string) string {
	for _, value := range []string{s.cfg.SecretAccessKey.Reveal(), s.cfg.AccessKeyID.Reveal()} {
		text = strings.ReplaceAll(text, value, "******")
	}
	return text
}

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// status returns the HTTP status of a failed request, or 0.
func status(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

func quote(key string) string { return strconv.Quote(key) }
