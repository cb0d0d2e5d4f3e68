package sealed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/secret"
)

// Marker is the key of the object that says whether a store is encrypted, and
// for whom. Open writes it, and the store that Open returns does not show it.
const Marker = "format.json"

const (
	version        = 1
	encryptionNone = "none"
	encryptionAge  = "age"
)

type format struct {
	Version    int    `json:"version"`
	Encryption string `json:"encryption"`
	Recipient  string `json:"recipient,omitempty"`
}

// Open returns inner as its marker says, encrypted or not. The first Open writes
// the marker, as the identity says; the zero identity is for no encryption.
// Afterwards an identity that does not fit is an error: ErrWrongKey,
// ErrKeyNeeded or ErrNotEncrypted.
func Open(ctx context.Context, inner objectstore.Store, identity secret.String) (objectstore.Store, error) {
	var key keys
	if !identity.IsZero() {
		var err error
		if key, err = parse(identity.Reveal()); err != nil {
			return nil, fmt.Errorf("PICOBASE_ENCRYPTION_KEY: %w", err)
		}
	}
	found, err := readMarker(ctx, inner)
	if errors.Is(err, objectstore.ErrNotFound) {
		found, err = writeMarker(ctx, inner, key)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := found.check(key); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if found.Encryption == encryptionNone {
		return unmarked{inner}, nil
	}
	opened, err := newStore(inner, key)
	if err != nil {
		return nil, err
	}
	return unmarked{opened}, nil
}

func (f format) check(key keys) error {
	switch {
	case f.Version != version:
		return fmt.Errorf("%s has version %d and this PicoBase knows %d: use a newer PicoBase", Marker, f.Version, version)
	case f.Encryption == encryptionNone && key.name != "":
		return fmt.Errorf("the store is %w, but PICOBASE_ENCRYPTION_KEY is set: unset it, or use an empty place for an encrypted store", ErrNotEncrypted)
	case f.Encryption == encryptionNone:
		return nil
	case f.Encryption != encryptionAge:
		return fmt.Errorf("%s has encryption %q, which this PicoBase does not know: use a newer PicoBase", Marker, f.Encryption)
	case key.name == "":
		return fmt.Errorf("the store is %w: set it to the identity of %s", ErrKeyNeeded, short(f.Recipient))
	case key.name != f.Recipient:
		return fmt.Errorf("the store is %w, which is for %s: set it to the identity of %s", ErrWrongKey, short(key.name), short(f.Recipient))
	}
	return nil
}

// short keeps recipients that withstand quantum computers, of 2,000 characters,
// from filling the screen.
func short(recipient string) string {
	const limit = 80
	if len(recipient) <= limit {
		return recipient
	}
	return recipient[:limit] + "…"
}

func readMarker(ctx context.Context, inner objectstore.Store) (found format, err error) {
	content, err := objectstore.ReadAll(ctx, inner, Marker)
	if err != nil {
		return format{}, err
	}
	if err := json.Unmarshal(content, &found); err != nil {
		return format{}, fmt.Errorf("%s: %w", Marker, err)
	}
	return found, nil
}

// writeMarker decides for a store without a marker, once for all processes.
func writeMarker(ctx context.Context, inner objectstore.Store, key keys) (format, error) {
	if err := checkUnmarked(ctx, inner, key); err != nil {
		return format{}, err
	}
	wanted := format{Version: version, Encryption: encryptionNone}
	if key.name != "" {
		wanted.Encryption, wanted.Recipient = encryptionAge, key.name
	}
	content, err := json.Marshal(wanted)
	if err != nil {
		return format{}, err
	}
	_, err = inner.Put(ctx, Marker, bytes.NewReader(append(content, '\n')), objectstore.PutOptions{IfAbsent: true})
	if errors.Is(err, objectstore.ErrChanged) {
		return readMarker(ctx, inner)
	}
	return wanted, err
}

// checkUnmarked refuses objects that would become unreadable or mixed: those
// from before a key was set, and encrypted ones whose marker is lost.
func checkUnmarked(ctx context.Context, inner objectstore.Store, key keys) error {
	for info, err := range inner.List(ctx, "", "") {
		if err != nil {
			return err
		}
		if info.Key == Marker { // written meanwhile
			continue
		}
		if key.name != "" {
			return fmt.Errorf("the store has objects but no %s, so it is %w, but PICOBASE_ENCRYPTION_KEY is set: unset it, or use an empty place for an encrypted store", Marker, ErrNotEncrypted)
		}
		if encrypted, err := looksEncrypted(ctx, inner, info.Key); err != nil || !encrypted {
			return err
		}
		return fmt.Errorf("%q is encrypted, but the store has no %s: put that back, or use an empty place", info.Key, Marker)
	}
	return nil
}

func looksEncrypted(ctx context.Context, inner objectstore.Store, key string) (bool, error) {
	body, err := inner.Get(ctx, key, 0, int64(len(intro)))
	if errors.Is(err, objectstore.ErrNotFound) { // deleted meanwhile
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer body.Close()
	head, err := io.ReadAll(body)
	return strings.HasPrefix(string(head), intro), err
}

// unmarked hides the marker, so that who deletes all that is listed does not
// make the store forget its key.
type unmarked struct{ objectstore.Store }

var errMarker = fmt.Errorf("%s belongs to the store", Marker)

func (u unmarked) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	if key == Marker {
		return objectstore.Info{}, errMarker
	}
	return u.Store.Put(ctx, key, body, opts)
}

func (u unmarked) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		for info, err := range u.Store.List(ctx, prefix, after) {
			if info.Key != Marker && !yield(info, err) {
				return
			}
		}
	}
}

func (u unmarked) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if key == Marker {
			return errMarker
		}
	}
	return u.Store.Delete(ctx, keys...)
}
