package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/picobase/picobase/internal/objectstore"
)

func testConditions(t *testing.T, store objectstore.Store) {
	for name, size := range map[string]int{"small": 10, "large": 100 << 10, "parts": 9 << 20} {
		try := func(what string, content []byte, opts objectstore.PutOptions, want error) objectstore.Info {
			t.Helper()
			info, err := store.Put(t.Context(), name, bytes.NewReader(content), opts)
			if !errors.Is(err, want) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
			return info
		}
		first, second, third := Content(size), Content(size+1), Content(size+2)
		try("match of nothing", first, objectstore.PutOptions{IfMatch: `"0123456789abcdef0123456789abcdef"`}, objectstore.ErrChanged)
		a := try("absent", first, objectstore.PutOptions{IfAbsent: true}, nil)
		try("absent again", second, objectstore.PutOptions{IfAbsent: true}, objectstore.ErrChanged)
		b := try("match", second, objectstore.PutOptions{IfMatch: a.ETag}, nil)
		try("match of the past", third, objectstore.PutOptions{IfMatch: a.ETag}, objectstore.ErrChanged)
		stat, err := store.Stat(t.Context(), name)
		if err != nil || stat.ETag != b.ETag || a.ETag == b.ETag {
			t.Errorf("%s: first %q, second %q, stat %q, %v", name, a.ETag, b.ETag, stat.ETag, err)
		}
		if !bytes.Equal(get(t, store, name, 0, -1), second) {
			t.Errorf("%s: other content", name)
		}
		if err := store.Delete(t.Context(), name); err != nil {
			t.Error(err)
		}
		try("match of the deleted", third, objectstore.PutOptions{IfMatch: b.ETag}, objectstore.ErrChanged)
		try("absent after delete", third, objectstore.PutOptions{IfAbsent: true}, nil)
	}
}

// race puts from 32 goroutines and returns the content of the one that won.
func race(t *testing.T, store objectstore.Store, opts objectstore.PutOptions) {
	t.Helper()
	var winners atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			content := fmt.Sprintf("writer %d", i)
			_, err := store.Put(t.Context(), "lease", strings.NewReader(content), opts)
			switch {
			case err == nil:
				winners.Add(1)
				winner.Store(content)
			case !errors.Is(err, objectstore.ErrChanged):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if winners.Load() != 1 {
		t.Errorf("%d winners", winners.Load())
	} else if got := get(t, store, "lease", 0, -1); string(got) != winner.Load() {
		t.Errorf("%v won, but stored is %q", winner.Load(), got)
	}
}

func testOneWinner(t *testing.T, store objectstore.Store) {
	race(t, store, objectstore.PutOptions{IfAbsent: true})
}

func testOneSuccessor(t *testing.T, store objectstore.Store) {
	for range 3 {
		info := put(t, store, "lease", []byte("start"), objectstore.PutOptions{})
		race(t, store, objectstore.PutOptions{IfMatch: info.ETag})
	}
}

func testList(t *testing.T, store objectstore.Store) {
	// Sorted as bytes: "-" and "." come before "/", "0" after it.
	keys := []string{"a", "b-c", "b.c", "b/a", "b/a-b", "b/b/c", "b/c", "b0", "c/1/x", "c/10/x", "c/2/x", "é"}
	for _, key := range slices.Backward(keys) {
		put(t, store, key, []byte(key), objectstore.PutOptions{})
	}
	for _, prefix := range []string{"", "b", "b/", "b/b", "b/b/", "c/1", "c/1/", "é", "nothing"} {
		for _, after := range append([]string{"", "0", "b", "b/", "b/a/", "b/b/a", "c/1/", "z", "ü"}, keys...) {
			var want []string
			for _, key := range keys {
				if strings.HasPrefix(key, prefix) && key > after {
					want = append(want, key)
				}
			}
			if got := keysOf(t, store, prefix, after); !slices.Equal(got, want) {
				t.Errorf("prefix %q, after %q: got %q, want %q", prefix, after, got, want)
			}
		}
	}
	for info, err := range store.List(t.Context(), "", "") {
		if err != nil || info.Size != int64(len(info.Key)) || info.Modified.IsZero() {
			t.Errorf("%+v, %v", info, err)
		}
	}
	for _, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Error(err)
		}
		break // after which nothing may be yielded
	}
}

func testOddKeys(t *testing.T, store objectstore.Store) {
	keys := []string{"a b", "a+b", "a%20b", "a%2Fb", "a&b=c?d#e", `a"b'c`, "a<b>", "a;b:c@d", "ünï/cödé/日本", "~tilde", "emoji-😀", "-", "..a/b..", ".hidden"}
	for _, key := range keys {
		put(t, store, key, []byte(key), objectstore.PutOptions{})
	}
	for _, key := range keys {
		if got := get(t, store, key, 0, -1); string(got) != key {
			t.Errorf("%q holds %q", key, got)
		}
		if info, err := store.Stat(t.Context(), key); err != nil || info.Key != key {
			t.Errorf("%q: %+v, %v", key, info, err)
		}
		if got := keysOf(t, store, key, ""); !slices.Equal(got, []string{key}) {
			t.Errorf("%q lists as %q", key, got)
		}
	}
	if err := store.Delete(t.Context(), keys...); err != nil {
		t.Error(err)
	}
	if got := keysOf(t, store, "", ""); len(got) > 0 {
		t.Errorf("left are %q", got)
	}
}

func testDelete(t *testing.T, store objectstore.Store) {
	for _, key := range []string{"a/b/c", "a/b/d", "a/e", "f"} {
		put(t, store, key, []byte(key), objectstore.PutOptions{})
	}
	if err := store.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	if err := store.Delete(t.Context(), "f", "missing", "a/b/d", "a/b/d", "a/b/c", "zz"); err != nil {
		t.Error(err)
	}
	if got := keysOf(t, store, "", ""); !slices.Equal(got, []string{"a/e"}) {
		t.Errorf("left are %q", got)
	}
	// What was a folder can be an object, and the other way round.
	put(t, store, "a/b", []byte("object"), objectstore.PutOptions{})
	put(t, store, "f/g", []byte("object"), objectstore.PutOptions{})
	if got := keysOf(t, store, "", ""); !slices.Equal(got, []string{"a/b", "a/e", "f/g"}) {
		t.Errorf("now there are %q", got)
	}
}

func testMany(t *testing.T, store objectstore.Store) {
	const count = 1100
	keys := make([]string, count)
	var wg sync.WaitGroup
	turns := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range turns {
				if _, err := store.Put(t.Context(), keys[i], strings.NewReader("x"), objectstore.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range count {
		keys[i] = fmt.Sprintf("many/%02d/%06d", i%7, i)
		turns <- i
	}
	close(turns)
	wg.Wait()
	put(t, store, "other", nil, objectstore.PutOptions{})

	sorted := slices.Sorted(slices.Values(keys))
	if got := keysOf(t, store, "many/", ""); !slices.Equal(got, sorted) {
		t.Errorf("listed %d objects of %d, or in another order", len(got), count)
	}
	if got := keysOf(t, store, "", sorted[1000]); !slices.Equal(got, append(slices.Clone(sorted[1001:]), "other")) {
		t.Errorf("listed %d objects after the 1001st", len(got))
	}
	if err := store.Delete(t.Context(), keys...); err != nil {
		t.Error(err)
	}
	if got := keysOf(t, store, "", ""); !slices.Equal(got, []string{"other"}) {
		t.Errorf("left are %d objects", len(got))
	}
}

// testReplaced: readers never see a mixture.
func testReplaced(t *testing.T, store objectstore.Store) {
	const size = 300 << 10
	contents := [][]byte{bytes.Repeat([]byte("a"), size), bytes.Repeat([]byte("b"), size)}
	put(t, store, "object", contents[0], objectstore.PutOptions{})
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer done.Store(true)
		for i := range 20 {
			if _, err := store.Put(t.Context(), "object", bytes.NewReader(contents[i%2]), objectstore.PutOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	for !done.Load() {
		got := get(t, store, "object", 0, -1)
		if !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
			t.Errorf("a mixture of %d bytes", len(got))
		}
	}
	wg.Wait()
}

func testEndedContext(t *testing.T, store objectstore.Store) {
	put(t, store, "object", []byte("content"), objectstore.PutOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, putErr := store.Put(ctx, "new", strings.NewReader("x"), objectstore.PutOptions{})
	_, getErr := store.Get(ctx, "object", 0, -1)
	_, statErr := store.Stat(ctx, "object")
	var listErr error
	for _, err := range store.List(ctx, "", "") {
		listErr = err
	}
	for name, err := range map[string]error{
		"put": putErr, "get": getErr, "stat": statErr, "list": listErr, "delete": store.Delete(ctx, "object"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := keysOf(t, store, "", ""); !slices.Equal(got, []string{"object"}) {
		t.Errorf("now there are %q", got)
	}
}

func testContextEndsMeanwhile(t *testing.T, store objectstore.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body := io.MultiReader(bytes.NewReader(Content(9<<20)), onRead(cancel), bytes.NewReader(Content(9<<20)))
	if _, err := store.Put(ctx, "object", body, objectstore.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if got := keysOf(t, store, "", ""); len(got) > 0 {
		t.Errorf("left are %q", got)
	}
}

// onRead is an empty reader that calls itself.
type onRead func()

func (f onRead) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}
