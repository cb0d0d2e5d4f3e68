package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// subscriber is a receiver of webhooks in this process, which takes everything.
type subscriber struct{ server *http.Server }

// subscribe has a PicoBase server send what is created in a collection.
func subscribe(ctx context.Context, s *server, collection string) (*subscriber, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	receiver := &subscriber{&http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(take)}}
	go func() { _ = receiver.server.Serve(listener) }() // ends with close, and only so
	err = s.api(ctx, http.MethodPatch, "/api/v1/settings", map[string]any{
		"webhooks": map[string]any{"allowedPrivateHosts": []string{"127.0.0.1"}},
	}, nil)
	if err == nil {
		err = s.api(ctx, http.MethodPost, "/api/v1/webhooks", map[string]any{
			"url": "http://" + listener.Addr().String(), "events": []string{"record.created:" + collection},
		}, nil)
	}
	if err != nil {
		receiver.close()
		return nil, err
	}
	return receiver, nil
}

func take(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or the connection cannot be used again
	w.WriteHeader(http.StatusNoContent)
}

func (s *subscriber) close() { _ = s.server.Close() }
