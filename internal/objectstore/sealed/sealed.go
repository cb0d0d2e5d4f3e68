// Package sealed encrypts what goes into an object store and decrypts what
// comes out, with age (https://age-encryption.org).
//
// Every object is an age file of its own, so `age -d -i key` reads it without
// PicoBase. Keys, sizes and times are not hidden, and nothing proves that an
// object is the newest under its key: only its content is protected.
//
//	identity, recipient, err := sealed.NewIdentity()
//	store, err := sealed.New(bucket, identity)
package sealed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"filippo.io/age"

	"github.com/picobase/picobase/internal/objectstore"
)

// The conditions that callers branch on.
var (
	// ErrWrongKey: the object is encrypted with another key.
	ErrWrongKey = errors.New("encrypted with another key than PICOBASE_ENCRYPTION_KEY")

	// ErrNotEncrypted: the object or store is not encrypted.
	ErrNotEncrypted = errors.New("not encrypted")

	// ErrKeyNeeded: the store is encrypted, but no key was given.
	ErrKeyNeeded = errors.New("encrypted, and PICOBASE_ENCRYPTION_KEY is not set")
)

const (
	intro = "age-encryption.org/v1\n"

	// The sizes of age's payload: chunks, each with its tag.
	chunkSize = 64 << 10
	tagSize   = 16

	// nearby is up to which offset Get reads from the beginning, in one request
	// instead of the four of a random access.
	nearby = 4 * chunkSize
)

// NewIdentity returns a new key pair: the identity decrypts and is secret, the
// recipient names it.
func NewIdentity() (identity, recipient string, err error) {
	pair, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("new identity: %w", err)
	}
	return pair.String(), pair.Recipient().String(), nil
}

type store struct {
	objectstore.Store
	key keys
	// headerSize is that of every object: age's header for one recipient, and
	// the nonce.
	headerSize int64
}

type keys struct {
	identity  age.Identity
	recipient age.Recipient
	name      string
}

// New returns store with everything in it encrypted. The identity is the text
// AGE-SECRET-KEY-1…, or AGE-SECRET-KEY-PQ-1… for one that also withstands
// quantum computers. Sizes are right for objects that were put through New
// with the same kind of identity. See Open for a store that remembers its key.
func New(inner objectstore.Store, identity string) (objectstore.Store, error) {
	key, err := parse(identity)
	if err != nil {
		return nil, err
	}
	return newStore(inner, key)
}

func newStore(inner objectstore.Store, key keys) (objectstore.Store, error) {
	empty, err := age.EncryptReader(http.NoBody, key.recipient)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	size, err := io.Copy(io.Discard, empty)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return &store{Store: inner, key: key, headerSize: size - tagSize}, nil
}

// parse never shows the text: it is secret, also when it is malformed.
func parse(identity string) (keys, error) {
	identity = strings.TrimSpace(identity)
	if strings.HasPrefix(identity, "AGE-SECRET-KEY-PQ-1") {
		if pair, err := age.ParseHybridIdentity(identity); err == nil {
			return keys{pair, pair.Recipient(), pair.Recipient().String()}, nil
		}
	} else if pair, err := age.ParseX25519Identity(identity); err == nil {
		return keys{pair, pair.Recipient(), pair.Recipient().String()}, nil
	}
	return keys{}, errors.New("not an age identity (AGE-SECRET-KEY-1…): make one with age-keygen")
}

// Put stores body encrypted. The ETag is that of the encrypted object.
func (s *store) Put(ctx context.Context, key string, body io.Reader, opts objectstore.PutOptions) (objectstore.Info, error) {
	encrypted, err := age.EncryptReader(body, s.key.recipient)
	if err != nil {
		return objectstore.Info{}, fmt.Errorf("encrypt %q: %w", key, err)
	}
	info, err := s.Store.Put(ctx, key, encrypted, opts)
	info.Size = s.plainSize(info.Size)
	return info, err
}

// Stat describes the object with the size of its plain content.
func (s *store) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := s.Store.Stat(ctx, key)
	info.Size = s.plainSize(info.Size)
	return info, err
}

// List yields the objects with the sizes of their plain content.
func (s *store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix, after) {
			info.Size = s.plainSize(info.Size)
			if !yield(info, err) {
				return
			}
		}
	}
}

// plainSize returns the size of the content of an encrypted object, 0 for one
// that is too small to be any.
func (s *store) plainSize(size int64) int64 {
	payload := max(0, size-s.headerSize)
	chunks := (payload + chunkSize + tagSize - 1) / (chunkSize + tagSize)
	return max(0, payload-chunks*tagSize)
}

// encryptedEnd returns where the chunk ends that holds the last byte before
// the plain offset end.
func (s *store) encryptedEnd(end int64) int64 {
	chunks := (end + chunkSize - 1) / chunkSize
	return s.headerSize + chunks*(chunkSize+tagSize)
}

// Get opens a range of the content. What it returns is authentic: a chunk that
// somebody changed, and an end that somebody cut off, are errors.
func (s *store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if offset > nearby {
		return s.getFar(ctx, key, offset, length)
	}
	if offset < 0 {
		return nil, fmt.Errorf("get %q: offset %d is below 0", key, offset)
	}
	encryptedLength := int64(-1)
	if length >= 0 {
		// One byte more at least: also an empty range looks at the key.
		encryptedLength = s.encryptedEnd(max(1, offset+length))
	}
	body, err := s.Store.Get(ctx, key, 0, encryptedLength)
	if err != nil {
		return nil, err
	}
	plain, err := s.decrypt(body)
	if err == nil {
		_, err = io.CopyN(io.Discard, plain, offset)
		if errors.Is(err, io.EOF) { // the range begins after the end
			err = nil
		}
	}
	if err != nil {
		_ = body.Close()
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	if length >= 0 {
		plain = io.LimitReader(plain, length)
	}
	return readCloser{plain, body}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

func (s *store) decrypt(body io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(body)
	if head, err := buffered.Peek(len(intro)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if string(head) != intro {
		return nil, ErrNotEncrypted
	}
	plain, err := age.Decrypt(buffered, s.key.identity)
	return plain, wrongKey(err)
}

func wrongKey(err error) error {
	var mismatch *age.NoIdentityMatchError
	if errors.As(err, &mismatch) {
		return ErrWrongKey
	}
	return err
}

// getFar opens a range without reading what is before it.
func (s *store) getFar(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	info, err := s.Store.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	from := &source{ctx: ctx, store: s.Store, key: key, size: info.Size}
	plain, size, err := s.decryptAt(from)
	if err != nil {
		_ = from.Close()
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	offset = min(offset, size)
	if length < 0 || length > size-offset {
		length = size - offset
	}
	from.end = min(info.Size, s.encryptedEnd(offset+length))
	return readCloser{io.NewSectionReader(plain, offset, length), from}, nil
}

func (s *store) decryptAt(from *source) (io.ReaderAt, int64, error) {
	head := make([]byte, len(intro))
	if _, err := from.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	} else if !bytes.Equal(head, []byte(intro)) {
		return nil, 0, ErrNotEncrypted
	}
	plain, size, err := age.DecryptReaderAt(from, from.size, s.key.identity)
	return plain, size, wrongKey(err)
}

// source reads an object at offsets. Reads that follow each other come from one
// Get. It is for one goroutine.
type source struct {
	ctx   context.Context
	store objectstore.Store
	key   string
	size  int64

	head []byte        // the beginning
	body io.ReadCloser // an open Get
	at   int64         // where body is
	end  int64         // to where the next Get should reach; 0 for no further than asked
}

// headSize holds age's header, which DecryptReaderAt reads in blocks.
const headSize = 8 << 10

func (s *source) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset >= s.size {
		return 0, io.EOF
	}
	if s.head == nil {
		if err := s.readHead(); err != nil {
			return 0, err
		}
	}
	if offset+int64(len(p)) > s.size {
		n, err = s.ReadAt(p[:s.size-offset], offset)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	if offset+int64(len(p)) <= int64(len(s.head)) {
		return copy(p, s.head[offset:]), nil
	}
	if s.body == nil || offset != s.at {
		_ = s.Close()
		end := max(s.end, offset+int64(len(p)))
		if s.body, err = s.store.Get(s.ctx, s.key, offset, end-offset); err != nil {
			return 0, err
		}
		s.at = offset
	}
	n, err = io.ReadFull(s.body, p)
	s.at += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the object is shorter than it was")
	}
	return n, err
}

func (s *source) readHead() error {
	body, err := s.store.Get(s.ctx, s.key, 0, headSize)
	if err != nil {
		return err
	}
	defer body.Close()
	s.head, err = io.ReadAll(body)
	return err
}

// Close closes the open Get.
func (s *source) Close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}
