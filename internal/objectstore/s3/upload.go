package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/picobase/picobase/internal/objectstore"
)

const (
	maxParts     = 10_000 // S3's own
	abortTimeout = 30 * time.Second
)

// Put stores body: in one request if it fits one part, else in parts.
//
// A conditional Put whose answer was lost is tried again, and may then find
// its own object and return ErrChanged. Who must know reads the object.
func (s *Store) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	info := objectstore.Info{Key: key, Modified: opts.Time}
	if opts.Time.IsZero() {
		info.Modified = time.Now()
	}
	first, err := io.ReadAll(io.LimitReader(body, s.cfg.PartSize+1))
	if err != nil {
		return objectstore.Info{}, fmt.Errorf("s3: put %q: read body: %w", key, err)
	}
	if int64(len(first)) <= s.cfg.PartSize {
		info.Size = int64(len(first))
		info.ETag, err = s.putOne(ctx, key, first, opts)
	} else {
		info.ETag, info.Size, err = s.putParts(ctx, key, io.MultiReader(bytes.NewReader(first), body), opts)
	}
	if opts.IfMatch != "" && errors.Is(err, objectstore.ErrNotFound) {
		err = fmt.Errorf("s3: put %q: there is no such object: %w", key, objectstore.ErrChanged)
	}
	if err != nil {
		return objectstore.Info{}, err
	}
	return info, nil
}

func (s *Store) putOne(ctx context.Context, key string, content []byte, opts objectstore.PutOptions) (etag string, err error) {
	ifNoneMatch, ifMatch := conditions(opts)
	output, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: s.bucket(), Key: s.key(key), Body: bytes.NewReader(content),
		Metadata: metadata(opts), IfNoneMatch: ifNoneMatch, IfMatch: ifMatch,
	})
	if err != nil {
		return "", s.fail(ctx, "put", key, err)
	}
	return aws.ToString(output.ETag), nil
}

// putParts uploads body in parts. The SDK's transfer manager is not used: it
// logs failed conditions to the standard logger, and hides them behind the
// error of the abort.
func (s *Store) putParts(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (etag string, size int64, err error) {
	created, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: s.bucket(), Key: s.key(key), Metadata: metadata(opts),
	})
	if err != nil {
		return "", 0, s.fail(ctx, "put", key, err)
	}
	defer func() {
		if err != nil {
			err = s.abort(ctx, key, created.UploadId, err)
		}
	}()
	parts, size, err := s.sendParts(ctx, key, created.UploadId, body)
	if err != nil {
		return "", 0, err
	}
	ifNoneMatch, ifMatch := conditions(opts)
	output, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: s.bucket(), Key: s.key(key), UploadId: created.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfNoneMatch:     ifNoneMatch, IfMatch: ifMatch,
	})
	if err != nil {
		return "", 0, s.fail(ctx, "put", key, err)
	}
	return aws.ToString(output.ETag), size, nil
}

// sendParts reads body part by part and sends up to Concurrency of them at once.
func (s *Store) sendParts(ctx context.Context, key string, upload *string, body io.Reader) (parts []types.CompletedPart, size int64, err error) {
	var group errgroup.Group
	var failed atomic.Bool // the others are not cut: the abort could come before what they still store
	group.SetLimit(s.cfg.Concurrency)
	free := make(chan []byte, s.cfg.Concurrency+1)
	var sent []*types.CompletedPart
	for ctx.Err() == nil && !failed.Load() {
		buffer := takeBuffer(free, s.cfg.PartSize)
		n, readErr := io.ReadFull(body, buffer)
		size += int64(n)
		last := errors.Is(readErr, io.ErrUnexpectedEOF) || errors.Is(readErr, io.EOF)
		if readErr != nil && !last {
			err = fmt.Errorf("s3: put %q: read body: %w", key, readErr)
			break
		}
		if n > 0 {
			if len(sent) == maxParts {
				err = fmt.Errorf("s3: put %q: larger than %d parts of PartSize %d", key, maxParts, s.cfg.PartSize)
				break
			}
			part := &types.CompletedPart{PartNumber: aws.Int32(int32(len(sent) + 1))} //nolint:gosec // up to maxParts
			sent = append(sent, part)
			group.Go(func() error {
				output, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
					Bucket: s.bucket(), Key: s.key(key), UploadId: upload,
					PartNumber: part.PartNumber, Body: bytes.NewReader(buffer[:n]),
				})
				if err != nil {
					failed.Store(true)
					return s.fail(ctx, "put", key, err)
				}
				part.ETag = output.ETag
				free <- buffer
				return nil
			})
		}
		if last {
			break
		}
	}
	if sendErr := group.Wait(); err == nil {
		err = sendErr
	}
	if err == nil && ctx.Err() != nil {
		err = s.fail(ctx, "put", key, ctx.Err())
	}
	for _, part := range sent {
		parts = append(parts, *part)
	}
	return parts, size, err
}

func takeBuffer(free chan []byte, size int64) []byte {
	select {
	case buffer := <-free:
		return buffer
	default:
		return make([]byte, size)
	}
}

// abort removes the parts of a failed upload, which nobody sees but which cost,
// also after ctx has ended.
func (s *Store) abort(ctx context.Context, key string, upload *string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	for range attempts {
		_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: s.bucket(), Key: s.key(key), UploadId: upload,
		})
		if err == nil {
			// The server may have stored a part after that, of a request that was cut.
			_, err = s.client.ListParts(ctx, &s3.ListPartsInput{Bucket: s.bucket(), Key: s.key(key), UploadId: upload})
		}
		if status(err) == http.StatusNotFound {
			return cause
		}
		if err != nil {
			break
		}
	}
	return fmt.Errorf("%w; its parts stay until a lifecycle rule removes them", cause)
}

func metadata(opts objectstore.PutOptions) map[string]string {
	if opts.Time.IsZero() {
		return nil
	}
	return map[string]string{timeKey: opts.Time.UTC().Format(time.RFC3339Nano)}
}

func conditions(opts objectstore.PutOptions) (ifNoneMatch, ifMatch *string) {
	if opts.IfAbsent {
		ifNoneMatch = aws.String("*")
	}
	if opts.IfMatch != "" {
		ifMatch = aws.String(opts.IfMatch)
	}
	return ifNoneMatch, ifMatch
}
