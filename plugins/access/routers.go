package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/pocketbase/core"
)

const (
	headerForwardedFor = "X-Forwarded-For"

	// unixRouter stands for whoever may open the tenant's socket.
	unixRouter = "unix"

	// localAddress is where a peer at a socket is: on this machine.
	localAddress = "127.0.0.1"
)

// Routers are the peers that pass on the requests of others, and say whose.
type Routers struct {
	networks []netip.Prefix
	unix     bool
}

// ParseRouters reads a list of networks and addresses, and "unix" for the peers at
// the server's socket, separated by commas.
func ParseRouters(text string) (Routers, error) {
	var routers Routers
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		switch part {
		case "":
		case unixRouter:
			routers.unix = true
		default:
			network, err := config.ParsePrefix(part)
			if err != nil {
				return Routers{}, fmt.Errorf("%q is neither a network such as 10.0.0.0/8, an address nor %s", part, unixRouter)
			}
			routers.networks = append(routers.networks, network)
		}
	}
	return routers, nil
}

// fromRouters puts the client's address in the place of a router's, before
// anything looks at it: limits, lists, logs and PocketBase's realtime check then
// see one and the same. What other peers claim is not looked at.
func (p *Plugin) fromRouters(e *core.RequestEvent) error {
	local, _ := e.Request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	isUnix := local != nil && local.Network() == "unix"
	if isUnix {
		e.Request.RemoteAddr = net.JoinHostPort(localAddress, "0")
	}
	if !p.cfg.Routers.include(isUnix, e.RemoteIP()) {
		return e.Next()
	}
	if client := lastAddress(e.Request.Header.Values(headerForwardedFor)); client.IsValid() {
		e.Request.RemoteAddr = netip.AddrPortFrom(client, 0).String()
	}
	return e.Next()
}

func (r Routers) include(isUnix bool, peer string) bool {
	if isUnix {
		return r.unix
	}
	return len(r.networks) > 0 && contains(r.networks, parseAddr(peer))
}

// lastAddress is what the router itself has written: what came before it would
// be the client's own claim.
func lastAddress(values []string) netip.Addr {
	if len(values) == 0 {
		return netip.Addr{}
	}
	list := values[len(values)-1]
	return parseAddr(strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]))
}
