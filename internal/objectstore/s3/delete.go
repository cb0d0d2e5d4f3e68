package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const deleteBatch = 1000 // S3's own

// Delete deletes the objects and looks whether they are gone, since R2 may say
// so while they stay. What is left is tried once more, one by one.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	for batch := range slices.Chunk(keys, deleteBatch) {
		refused, err := s.deleteMany(ctx, batch)
		if err != nil {
			return err
		}
		left, err := s.existing(ctx, batch)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			continue
		}
		for _, key := range left {
			_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket(), Key: s.key(key)})
			if err != nil {
				return errors.Join(s.fail(ctx, "delete", key, err), refused)
			}
		}
		if left, err = s.existing(ctx, left); err != nil {
			return err
		}
		if len(left) > 0 {
			return errors.Join(fmt.Errorf("s3: delete: the server says yes, but %d objects stay, such as %q", len(left), left[0]), refused)
		}
	}
	return nil
}

// deleteMany returns in refused what the server said of single keys, which
// counts only if they are still there.
func (s *Store) deleteMany(ctx context.Context, keys []string) (refused, err error) {
	objects := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		objects[i].Key = s.key(key)
	}
	output, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: s.bucket(),
		Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
	}, s3.WithAPIOptions(smithyhttp.AddContentChecksumMiddleware)) // some want the MD5 that the SDK no longer sends
	if err != nil {
		return nil, s.fail(ctx, "delete", keys[0], err)
	}
	if len(output.Errors) > 0 {
		first := output.Errors[0]
		refused = fmt.Errorf("s3: delete: %d objects were refused, such as %q: %s", len(output.Errors),
			strings.TrimPrefix(aws.ToString(first.Key), s.cfg.Prefix),
			s.redact(aws.ToString(first.Code)+": "+aws.ToString(first.Message)))
	}
	return refused, nil
}

// existing returns those of the sorted keys that are still there. It lists, and
// skips what lies between the keys: at most one page for every key, and one for
// a thousand neighbours, which is what is usually deleted.
func (s *Store) existing(ctx context.Context, keys []string) (found []string, err error) {
	var listed string // everything up to here is known
	for len(keys) > 0 {
		prefix := commonPrefix(keys[0], keys[len(keys)-1])
		_, size := utf8.DecodeLastRuneInString(keys[0])
		after := max(listed, keys[0][:len(keys[0])-size])
		input := &s3.ListObjectsV2Input{Bucket: s.bucket(), Prefix: s.key(prefix)}
		if after != "" {
			input.StartAfter = s.key(after)
		}
		page, err := s.client.ListObjectsV2(ctx, input)
		if err != nil {
			return nil, s.fail(ctx, "list after delete", prefix, err)
		}
		for _, object := range page.Contents {
			listed = strings.TrimPrefix(aws.ToString(object.Key), s.cfg.Prefix)
			for len(keys) > 0 && keys[0] < listed {
				keys = keys[1:]
			}
			if len(keys) > 0 && keys[0] == listed {
				found = append(found, listed)
				keys = keys[1:]
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return found, nil
		}
		if listed <= after {
			return nil, fmt.Errorf("s3: list after delete: the server does not list after %q", after)
		}
	}
	return found, nil
}

// commonPrefix never ends within a rune.
func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return a[:n]
}
