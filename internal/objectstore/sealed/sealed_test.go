package sealed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/storetest"
)

func newIdentity(t *testing.T) string {
	t.Helper()
	identity, _, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func newHybrid(t *testing.T) string {
	t.Helper()
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return identity.String()
}

func seal(t *testing.T, inner objectstore.Store, identity string) *store {
	t.Helper()
	sealed, err := New(inner, identity)
	if err != nil {
		t.Fatal(err)
	}
	return sealed.(*store)
}

func put(t *testing.T, store objectstore.Store, key string, content []byte) {
	t.Helper()
	if _, err := store.Put(t.Context(), key, bytes.NewReader(content), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, identity := range map[string]string{"x25519": newIdentity(t), "hybrid": newHybrid(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) objectstore.Store { return seal(t, dir.New(t.TempDir()), identity) })
		})
	}
}

func TestNewRefusesOtherKeys(t *testing.T) {
	t.Parallel()
	_, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	broken := newIdentity(t)
	broken = broken[:len(broken)-1]
	for _, text := range []string{"", "hunter2", recipient, broken, "AGE-SECRET-KEY-PQ-1HUNTER2"} {
		if _, err := New(dir.New(t.TempDir()), text); err == nil {
			t.Errorf("%q passed", text)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("shows the key: %v", err)
		}
	}
}

// What is stored must be readable without this package.
func TestStockAge(t *testing.T) {
	t.Parallel()
	identity := newIdentity(t)
	root := t.TempDir()
	store := seal(t, dir.New(root), identity)
	key, err := age.ParseX25519Identity(identity)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, chunkSize, 3*chunkSize + 1} {
		content := storetest.Content(size)
		put(t, store, "object", content)
		stored, err := os.ReadFile(filepath.Join(root, "object"))
		if err != nil {
			t.Fatal(err)
		}
		if size > 0 && bytes.Contains(stored, content[:min(size, 32)]) && size > 1 {
			t.Errorf("%d bytes are stored in plain", size)
		}
		plain, err := age.Decrypt(bytes.NewReader(stored), key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	inner := dir.New(t.TempDir())
	for _, identity := range []string{newIdentity(t), newHybrid(t)} {
		store := seal(t, inner, identity)
		for _, size := range []int64{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize} {
			put(t, store, "object", make([]byte, size))
			encrypted, err := inner.Stat(t.Context(), "object")
			if err != nil {
				t.Fatal(err)
			}
			if got := store.plainSize(encrypted.Size); got != size {
				t.Errorf("%d bytes, encrypted %d: size is %d", size, encrypted.Size, got)
			}
			if got := store.encryptedEnd(max(size, 1)); got < encrypted.Size {
				t.Errorf("%d bytes end before %d, at %d", size, encrypted.Size, got)
			}
		}
	}
}

// counting counts the Gets of a store.
type counting struct {
	objectstore.Store
	gets, bytes atomic.Int64
}

func (c *counting) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	c.gets.Add(1)
	body, err := c.Store.Get(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	return readCloser{io.TeeReader(body, counter{&c.bytes}), body}, nil
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func TestReadsAhead(t *testing.T) {
	t.Parallel()
	inner := &counting{Store: dir.New(t.TempDir())}
	store := seal(t, inner, newIdentity(t))
	const size = 10<<20 + 5
	content := storetest.Content(size)
	put(t, store, "object", content)
	for name, c := range map[string]struct{ offset, length, gets, bytes int64 }{
		"all":               {0, -1, 1, size + 4<<10},
		"beginning":         {0, 1000, 1, 70 << 10},
		"near":              {chunkSize + 1, chunkSize, 1, 200 << 10},
		"from the middle":   {5 << 20, -1, 3, 6 << 20},
		"in the middle":     {5 << 20, 1 << 20, 3, 2 << 20},
		"the end":           {size - 3, 3, 2, 80 << 10},
		"a byte in between": {5 << 20, 1, 3, 160 << 10},
	} {
		inner.gets.Store(0)
		inner.bytes.Store(0)
		body, err := store.Get(t.Context(), "object", c.offset, c.length)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		_ = body.Close()
		end := int64(size)
		if c.length >= 0 {
			end = c.offset + c.length
		}
		if err != nil || !bytes.Equal(got, content[c.offset:end]) {
			t.Errorf("%s: other content, %v", name, err)
		}
		if inner.gets.Load() > c.gets || inner.bytes.Load() > c.bytes {
			t.Errorf("%s: took %d gets of %d bytes", name, inner.gets.Load(), inner.bytes.Load())
		}
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	inner := dir.New(t.TempDir())
	store := seal(t, inner, newIdentity(t))
	other := seal(t, inner, newIdentity(t))
	hybrid := seal(t, inner, newHybrid(t))
	content := storetest.Content(1 << 20)
	put(t, store, "object", content)
	encrypted, err := objectstore.ReadAll(t.Context(), inner, "object")
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int) []byte {
		c := bytes.Clone(encrypted)
		c[at] ^= 1
		return c
	}
	cut := encrypted[:store.headerSize+3*(chunkSize+tagSize)]
	for name, c := range map[string]struct {
		stored []byte
		by     objectstore.Store
		want   error // nil for any
	}{
		"another key":     {encrypted, other, ErrWrongKey},
		"another kind":    {encrypted, hybrid, ErrWrongKey},
		"plain":           {content, store, ErrNotEncrypted},
		"plain and short": {[]byte("x"), store, ErrNotEncrypted},
		"empty":           {nil, store, ErrNotEncrypted},
		"changed header":  {changed(60), store, nil},
		"changed body":    {changed(500 << 10), store, nil},
		"changed end":     {changed(len(encrypted) - 1), store, nil},
		"cut at a chunk":  {cut, store, nil},
		"cut":             {encrypted[:1000], store, nil},
	} {
		put(t, inner, "object", c.stored)
		for _, offset := range []int64{0, 1, 400 << 10} {
			_, err := read(c.by, offset)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s from %d: %v", name, offset, err)
			}
		}
	}
}

func read(store objectstore.Store, offset int64) ([]byte, error) {
	body, err := store.Get(context.Background(), "object", offset, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func TestRandomRanges(t *testing.T) {
	t.Parallel()
	store := seal(t, dir.New(t.TempDir()), newIdentity(t))
	const size = 2<<20 + 77
	content := storetest.Content(size)
	put(t, store, "object", content)
	for range 300 {
		offset, length := rand.Int64N(size+1000), rand.Int64N(size)
		body, err := store.Get(t.Context(), "object", offset, length)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		_ = body.Close()
		from := min(offset, size)
		if err != nil || !bytes.Equal(got, content[from:min(from+length, size)]) {
			t.Fatalf("offset %d, length %d: got %d bytes, %v", offset, length, len(got), err)
		}
	}
}
