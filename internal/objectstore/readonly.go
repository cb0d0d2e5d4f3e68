package objectstore

import (
	"context"
	"errors"
	"io"
)

// ErrReadOnly answers for changes of a store that is only read.
var ErrReadOnly = errors.New("the store is only read here")

// ReadOnly returns the store without what changes it.
func ReadOnly(store Store) Store { return readOnly{store} }

type readOnly struct{ Store }

func (readOnly) Put(context.Context, string, io.Reader, PutOptions) (Info, error) {
	return Info{}, ErrReadOnly
}

func (readOnly) Delete(context.Context, ...string) error { return ErrReadOnly }
