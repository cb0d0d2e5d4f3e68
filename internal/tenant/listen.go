package tenant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// Forms of ServeConfig.HTTP beside host:port.
const (
	unixScheme = "unix:" // unix:/path of a socket to make
	fdScheme   = "fd:"   // fd:3, a listener that whoever started the process has opened
)

// listen opens the address to serve at.
func (t *Tenant) listen(ctx context.Context, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, unixScheme); ok {
		return listenUnix(ctx, path)
	}
	if number, ok := strings.CutPrefix(address, fdScheme); ok {
		return t.listenInherited(number)
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
}

// listenUnix makes the socket, for this user alone. One that a killed server left
// behind is removed; one that somebody answers at is not.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	path = strings.TrimPrefix(path, "//") // unix:///path, as others write it
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("listen at the socket %s: there is something else of that name", path)
	default:
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("listen at the socket %s: another server answers there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// listenInherited takes a copy of a listener. The original stays open until the
// end: a restart, which replaces the program and not the process, needs it again.
func (t *Tenant) listenInherited(number string) (net.Listener, error) {
	if t.inherited == nil {
		fd, err := strconv.ParseUint(number, 10, 16)
		if err != nil || fd < 3 {
			return nil, fmt.Errorf("listen at %s%s: name a file descriptor from 3 on", fdScheme, number)
		}
		t.inherited = os.NewFile(uintptr(fd), fdScheme+number)
	}
	listener, err := net.FileListener(t.inherited)
	if err != nil {
		return nil, fmt.Errorf("listen at %s%s: it is no listener that was opened for this process: %w", fdScheme, number, err)
	}
	return listener, nil
}

// closeInherited lets requests that come after the end be refused at once, in
// the place of waiting for nobody.
func (t *Tenant) closeInherited() {
	if t.inherited != nil {
		_ = t.inherited.Close()
	}
}

// bindListener opens the address for PocketBase, which knows none but TCP's.
func (t *Tenant) bindListener(cfg ServeConfig) {
	t.App.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id:       "picoListen",
		Priority: priorityListen,
		Func: func(e *core.ServeEvent) error {
			if cfg.HTTPS != "" || len(cfg.Domains) > 0 {
				return e.Next()
			}
			listener, err := t.listen(context.Background(), cfg.HTTP)
			if err != nil {
				return err
			}
			e.Listener = listener
			if err := e.Next(); err != nil {
				return errors.Join(err, listener.Close())
			}
			return nil
		},
	})
}

// isTCP reports whether the address is one of a network.
func isTCP(address string) bool {
	return !strings.HasPrefix(address, unixScheme) && !strings.HasPrefix(address, fdScheme)
}
