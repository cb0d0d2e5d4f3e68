package sealed

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/secret"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	none, key, other := secret.String{}, secret.New(newIdentity(t)), secret.New(newIdentity(t))
	hybrid := secret.New(newHybrid(t))
	const marker = Marker
	for name, c := range map[string]struct {
		before   func(t *testing.T, inner objectstore.Store)
		identity secret.String
		want     string // in the error
		is       error
	}{
		"new, plain":               {nil, none, "", nil},
		"new, encrypted":           {nil, key, "", nil},
		"new, malformed key":       {nil, secret.New("hunter2"), "PICOBASE_ENCRYPTION_KEY: not an age identity", nil},
		"plain again":              {opened(none), none, "", nil},
		"encrypted again":          {opened(key), key, "", nil},
		"hybrid again":             {opened(hybrid), hybrid, "", nil},
		"plain, then a key":        {opened(none), key, "unset it", ErrNotEncrypted},
		"encrypted, then no key":   {opened(key), none, "PICOBASE_ENCRYPTION_KEY is not set: set it to the identity of age1", ErrKeyNeeded},
		"encrypted, then another":  {opened(key), other, "another key than PICOBASE_ENCRYPTION_KEY", ErrWrongKey},
		"encrypted, then hybrid":   {opened(key), hybrid, "another key than PICOBASE_ENCRYPTION_KEY", ErrWrongKey},
		"objects, no marker":       {holding("a/b", "content"), none, "", nil},
		"objects, no marker, key":  {holding("a/b", "content"), key, "unset it", ErrNotEncrypted},
		"lost marker, no key":      {holding("a/b", intro+"…"), none, "put that back", nil},
		"lost marker, key":         {holding("a/b", intro+"…"), key, "has objects but no format.json", nil},
		"marker is no JSON":        {holding(marker, "x"), none, marker, nil},
		"marker of the future":     {holding(marker, `{"version":2,"encryption":"age"}`), key, "newer PicoBase", nil},
		"unknown encryption":       {holding(marker, `{"version":1,"encryption":"x"}`), key, "newer PicoBase", nil},
		"empty marker":             {holding(marker, `{}`), none, "version 0", nil},
		"more in the marker is ok": {holding(marker, `{"version":1,"encryption":"none","x":1}`), none, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := dir.New(t.TempDir())
			if c.before != nil {
				c.before(t, inner)
			}
			store, err := Open(t.Context(), inner, c.identity)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("%v", err)
				}
				if err != nil && strings.Contains(err.Error(), c.identity.Reveal()) && !c.identity.IsZero() {
					t.Errorf("shows the key: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			put(t, store, "object", []byte("plain content"))
			stored, err := objectstore.ReadAll(t.Context(), inner, "object")
			if encrypted := strings.HasPrefix(string(stored), intro); err != nil || encrypted == c.identity.IsZero() {
				t.Errorf("stored is %q, %v", stored, err)
			}
			if got, err := objectstore.ReadAll(t.Context(), store, "object"); err != nil || string(got) != "plain content" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func opened(identity secret.String) func(*testing.T, objectstore.Store) {
	return func(t *testing.T, inner objectstore.Store) {
		store, err := Open(t.Context(), inner, identity)
		if err != nil {
			t.Fatal(err)
		}
		// What deletes everything must not make the store forget its key.
		put(t, store, "x", []byte("x"))
		for info, err := range store.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Delete(t.Context(), info.Key); err != nil {
				t.Fatal(err)
			}
		}
		if store.Delete(t.Context(), Marker) == nil {
			t.Error("the marker was deleted")
		}
	}
}

func holding(key, content string) func(*testing.T, objectstore.Store) {
	return func(t *testing.T, inner objectstore.Store) { put(t, inner, key, []byte(content)) }
}

// Of two that open an empty store with different keys, one must be refused.
func TestOpenRace(t *testing.T) {
	t.Parallel()
	inner := dir.New(t.TempDir())
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		identity := secret.New(newIdentity(t))
		wg.Go(func() { _, errs[i] = Open(t.Context(), inner, identity) })
	}
	wg.Wait()
	winners := 0
	for _, err := range errs {
		if err == nil {
			winners++
		} else if !errors.Is(err, ErrWrongKey) {
			t.Error(err)
		}
	}
	if winners != 1 {
		t.Errorf("%d winners", winners)
	}
}
