// Package storetest holds what every object store must do.
//
// It does not test what only one of them promises, such as what happens when a
// server fails.
//
//	storetest.Run(t, func(t *testing.T) objectstore.Store { return dir.New(t.TempDir()) })
package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/iotest"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

// Run tests the stores that open returns. Each must be empty.
func Run(t *testing.T, open func(*testing.T) objectstore.Store) {
	for name, test := range map[string]func(*testing.T, objectstore.Store){
		"round trip":     testRoundTrip,
		"ranges":         testRanges,
		"failing body":   testFailingBody,
		"missing":        testMissing,
		"time":           testTime,
		"conditions":     testConditions,
		"one winner":     testOneWinner,
		"one successor":  testOneSuccessor,
		"list":           testList,
		"odd keys":       testOddKeys,
		"delete":         testDelete,
		"many":           testMany,
		"replaced":       testReplaced,
		"ended context":  testEndedContext,
		"ends meanwhile": testContextEndsMeanwhile,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Content returns n bytes that differ everywhere, the same for the same n.
func Content(n int) []byte {
	content := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(strconv.Itoa(n)))).Read(content)
	return content
}

func put(t *testing.T, store objectstore.Store, key string, content []byte, opts objectstore.PutOptions) objectstore.Info {
	t.Helper()
	info, err := store.Put(t.Context(), key, bytes.NewReader(content), opts)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func get(t *testing.T, store objectstore.Store, key string, offset, length int64) []byte {
	t.Helper()
	body, err := store.Get(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func keysOf(t *testing.T, store objectstore.Store, prefix, after string) []string {
	t.Helper()
	keys := []string{}
	for info, err := range store.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// unsized has no length and cannot seek.
func unsized(content []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(content)) }

// failing ends in an error after content.
func failing(content []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(content), iotest.ErrReader(errBody))
}

var errBody = errors.New("the body broke")

var sizes = []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 20 << 20}

func testRoundTrip(t *testing.T, store objectstore.Store) {
	for _, size := range sizes {
		for name, body := range map[string]func([]byte) io.Reader{
			"seeker":  func(content []byte) io.Reader { return bytes.NewReader(content) },
			"unsized": unsized,
		} {
			content, key := Content(size), name+"/"+strconv.Itoa(size)
			info, err := store.Put(t.Context(), key, body(content), objectstore.PutOptions{})
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			if info.Key != key || info.Size != int64(size) || info.ETag == "" || time.Since(info.Modified).Abs() > time.Minute {
				t.Errorf("%s: put says %+v", key, info)
			}
			if !bytes.Equal(get(t, store, key, 0, -1), content) {
				t.Errorf("%s: other content", key)
			}
			stat, err := store.Stat(t.Context(), key)
			if err != nil || stat.Key != key || stat.Size != int64(size) || stat.ETag != info.ETag || time.Since(stat.Modified).Abs() > time.Minute {
				t.Errorf("%s: stat says %+v, %v; put %+v", key, stat, err, info)
			}
			if err := store.Delete(t.Context(), key); err != nil {
				t.Error(err)
			}
		}
	}
}

func testRanges(t *testing.T, store objectstore.Store) {
	const chunk = 64 << 10
	for _, size := range []int{0, 1, chunk, 10*chunk + 7, 20 * chunk} {
		content := Content(size)
		put(t, store, "object", content, objectstore.PutOptions{})
		for _, offset := range []int{0, 1, chunk - 1, chunk, 5*chunk - 1, 5 * chunk, 5*chunk + 1, 10 * chunk, size - 1, size, size + 1, size + 100*chunk} {
			for _, length := range []int{-1, 0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 5, size, 2*size + 1} {
				if offset < 0 {
					continue
				}
				from := min(offset, size)
				to := size
				if length >= 0 {
					to = min(from+length, size)
				}
				if got := get(t, store, "object", int64(offset), int64(length)); !bytes.Equal(got, content[from:to]) {
					t.Errorf("size %d, offset %d, length %d: got %d bytes", size, offset, length, len(got))
				}
			}
		}
	}
	if _, err := store.Get(t.Context(), "object", -1, 1); err == nil {
		t.Error("an offset below 0 passed")
	}
}

func testFailingBody(t *testing.T, store objectstore.Store) {
	put(t, store, "old", []byte("old content"), objectstore.PutOptions{})
	for _, size := range []int{0, 1, 1 << 20, 9 << 20, 20 << 20} {
		for _, key := range []string{"old", "new"} {
			if _, err := store.Put(t.Context(), key, failing(Content(size)), objectstore.PutOptions{}); !errors.Is(err, errBody) {
				t.Errorf("%s after %d bytes: %v", key, size, err)
			}
		}
	}
	if got := get(t, store, "old", 0, -1); string(got) != "old content" {
		t.Errorf("old content became %d bytes", len(got))
	}
	if got := keysOf(t, store, "", ""); !slices.Equal(got, []string{"old"}) {
		t.Errorf("left are %q", got)
	}
}

func testMissing(t *testing.T, store objectstore.Store) {
	check := func(when string) {
		t.Helper()
		for _, key := range []string{"missing", "folder/missing", "folder", "object/below"} {
			if _, err := store.Stat(t.Context(), key); !errors.Is(err, objectstore.ErrNotFound) {
				t.Errorf("%s: stat %s: %v", when, key, err)
			}
			for _, r := range [][2]int64{{0, -1}, {0, 0}, {0, 1}, {1 << 20, 1}} {
				if _, err := store.Get(t.Context(), key, r[0], r[1]); !errors.Is(err, objectstore.ErrNotFound) {
					t.Errorf("%s: get %s %v: %v", when, key, r, err)
				}
			}
			if err := store.Delete(t.Context(), key); err != nil {
				t.Errorf("%s: delete %s: %v", when, key, err)
			}
		}
	}
	check("empty")
	if got := keysOf(t, store, "", ""); len(got) > 0 {
		t.Errorf("an empty store lists %q", got)
	}
	put(t, store, "object", nil, objectstore.PutOptions{})
	put(t, store, "folder/object", nil, objectstore.PutOptions{})
	check("filled")
	if got := keysOf(t, store, "", ""); !slices.Equal(got, []string{"folder/object", "object"}) {
		t.Errorf("left are %q", got)
	}
}

func testTime(t *testing.T, store objectstore.Store) {
	at := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.FixedZone("", 3600))
	for _, size := range []int{1, 20 << 20} {
		info := put(t, store, "object", Content(size), objectstore.PutOptions{Time: at})
		stat, err := store.Stat(t.Context(), "object")
		if err != nil || !stat.Modified.Equal(at) || !info.Modified.Equal(at) {
			t.Errorf("%d bytes: put says %v, stat %v, %v", size, info.Modified, stat.Modified, err)
		}
	}
}
