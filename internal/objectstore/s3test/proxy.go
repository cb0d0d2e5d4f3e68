package s3test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// Fault is a way in which a Proxy misbehaves.
type Fault string

// The faults. NoFault passes everything on.
const (
	NoFault Fault = ""
	// Fail answers every request with status 500.
	Fail Fault = "500"
	// Hang keeps connections open and moves no byte, also of requests in flight.
	Hang Fault = "hang"
	// Refuse refuses connections and cuts those in flight.
	Refuse Fault = "refuse"
)

// Proxy stands in front of a server and misbehaves when told to. It passes
// bytes, so that signatures and odd keys are what the client sent.
type Proxy struct {
	// Endpoint is the proxy's URL. It stays the same over faults.
	Endpoint string

	t       testing.TB
	target  string
	address string

	mu       sync.Mutex
	fault    Fault
	moves    chan struct{} // closed while bytes may move
	listener net.Listener  // nil while it refuses
	conns    map[net.Conn]bool
	running  sync.WaitGroup
}

// StartProxy starts a proxy in front of the server with that endpoint. It is
// stopped when the test ends.
func StartProxy(t testing.TB, endpoint string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, target: strings.TrimPrefix(endpoint, "http://"), address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	p.moves = make(chan struct{})
	close(p.moves)
	p.mu.Lock()
	p.listen()
	p.mu.Unlock()
	p.address = p.listener.Addr().String()
	p.Endpoint = "http://" + p.address
	t.Cleanup(func() {
		p.Fault(Refuse)
		p.running.Wait()
	})
	return p
}

// Fault sets how the proxy misbehaves from now on.
func (p *Proxy) Fault(fault Fault) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == fault {
		return
	}
	// Only a hang is about the connections that are there; elsewhere one that
	// is kept alive would go on as before.
	if fault == Fail || fault == Refuse || p.fault == Fail {
		for conn := range p.conns {
			_ = conn.Close()
		}
	}
	if p.fault == Hang {
		close(p.moves)
	}
	if fault == Hang {
		p.moves = make(chan struct{})
	}
	p.fault = fault
	switch {
	case fault == Refuse && p.listener != nil:
		_ = p.listener.Close()
		p.listener = nil
	case fault != Refuse && p.listener == nil:
		p.listen()
	}
}

func (p *Proxy) listen() {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.address) //nolint:noctx // returns at once
	if err != nil {
		p.t.Fatal(err)
	}
	p.listener = listener
	p.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(conn) })
		}
	})
}

func (p *Proxy) serve(client net.Conn) {
	if !p.track(client) {
		return
	}
	defer p.forget(client)
	if p.mode() == Fail {
		fail(client)
		return
	}
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", p.target)
	if err != nil || !p.track(server) {
		return
	}
	defer p.forget(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pass(server, client)
		_ = client.Close()
	}()
	p.pass(client, server)
	_ = server.Close()
	<-done
}

// pass copies until either side ends.
func (p *Proxy) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		moves := p.moves
		p.mu.Unlock()
		<-moves
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// fail answers requests with status 500 until the client goes away.
func fail(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

func (p *Proxy) mode() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

func (p *Proxy) track(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == Refuse {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *Proxy) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}
