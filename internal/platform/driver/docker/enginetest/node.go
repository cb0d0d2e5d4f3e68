package enginetest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

// Addresses of the first node, which is where tests run, and of the second, a machine
// of its own as far as networks and processes go.
const (
	FirstNode  = "192.0.2.1"
	secondNode = "192.0.2.2"
)

// InitSwarm makes the engine the manager of a Swarm that notices a lost node soon.
func (e *Engine) InitSwarm(t *testing.T, address string) {
	t.Helper()
	_, err := e.API.SwarmInit(t.Context(), client.SwarmInitOptions{
		ListenAddr: address + ":2377", AdvertiseAddr: address,
		Spec: swarm.Spec{Dispatcher: swarm.DispatcherConfig{HeartbeatPeriod: 1e9}},
	})
	if err != nil {
		t.Fatalf("make a Swarm: %v", err)
	}
}

// Link gives the first node an address that the second can reach. It comes before InitSwarm.
func Link(t *testing.T) {
	t.Helper()
	if missing() != "" {
		return // Start will say so
	}
	for _, command := range []string{
		"link add nodes type bridge", "addr add " + FirstNode + "/24 dev nodes", "link set nodes up",
		"link add node1 type veth peer name node2", "link set node1 master nodes up",
	} {
		run(t, append([]string{"ip"}, strings.Fields(command)...)...)
	}
}

// Join starts a second engine, as a worker in the Swarm of e. Its Kill is a power cut.
func (e *Engine) Join(t *testing.T) *Engine {
	t.Helper()
	second := Start(t, "unshare", "--net", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", second.proc.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(children))
	run(t, "ip", "link", "set", "node2", "netns", pid)
	for _, command := range []string{
		"ip link set lo up", "ip addr add " + secondNode + "/24 dev node2", "ip link set node2 up",
		"ip route add default via " + FirstNode,
	} {
		run(t, append([]string{"nsenter", "--target", pid, "--net"}, strings.Fields(command)...)...)
	}
	found, err := e.API.SwarmInspect(t.Context(), client.SwarmInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.API.SwarmJoin(t.Context(), client.SwarmJoinOptions{
		ListenAddr: secondNode + ":2377", AdvertiseAddr: secondNode,
		RemoteAddrs: []string{FirstNode + ":2377"}, JoinToken: found.Swarm.JoinTokens.Worker,
	})
	if err != nil {
		t.Fatalf("join the Swarm: %v", err)
	}
	return second
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil { //nolint:gosec,noctx // the test's own
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Forward lets containers reach what listens on the loopback of the first node, and
// returns the address that they use.
func Forward(t *testing.T, address, to string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address+":0") //nolint:noctx // returns at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(in, to)
		}
	}()
	return fmt.Sprint(listener.Addr())
}

func forward(in net.Conn, to string) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("tcp", to) //nolint:noctx // on this machine
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(in, out)
}
