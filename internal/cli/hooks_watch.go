package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/watch"
)

// pushAgain is how soon a push is tried again that found no server.
const pushAgain = 2 * time.Second

// watchHooks pushes the folder now and whenever it changes, until ctx ends. The
// first push shows whether the command can work at all; from then on nothing that
// is wrong ends it.
func watchHooks(ctx context.Context, o hooksPushOptions, push func(body map[string]any) error, notes io.Writer) error {
	changes := make(chan struct{}, 1)
	changed := func() {
		select {
		case changes <- struct{}{}:
		default: // one waits already
		}
	}
	var watcher watch.Watcher
	if _, err := readHooks(o); err != nil {
		return err
	}
	err := watcher.Start(o.Dir, changed, func(err error) { fmt.Fprintf(notes, "watch %s: %v\n", o.Dir, err) })
	if err != nil {
		return err
	}
	defer watcher.Stop()

	var pushed map[string]string // the files of the last push that was answered
	again := time.NewTimer(pushAgain)
	again.Stop()
	defer again.Stop()
	changed()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return nil // the person stopped it
		case <-changes:
		case <-again.C:
		}
		body, err := readHooks(o)
		files, _ := body["files"].(map[string]string)
		if err == nil && pushed != nil && maps.Equal(files, pushed) {
			continue // a file that is no part of the bundle, or a change that was taken back
		}
		if err == nil {
			err = push(body)
		}
		var own *Error
		if !errors.As(err, &own) {
			own = &Error{}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil, own.status == http.StatusUnprocessableEntity: // the same files would have the same answer
			pushed = files
		case first:
			return err
		case own.Code == ExitUnreachable:
			again.Reset(pushAgain)
		}
		if err != nil {
			fmt.Fprintln(notes, strings.TrimSpace(printable(err.Error())))
		}
		if first {
			fmt.Fprintf(notes, "Watching %s. Ctrl-C ends it.\n", o.Dir)
		}
	}
}
