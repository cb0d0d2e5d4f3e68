package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/routes"
)

const (
	devAddress   = "127.0.0.1:8090"
	devHost      = "127.0.0.1"
	devPort      = 8090
	devPortTries = 20
)

// listenDev opens the address that was asked for. When none was, it takes the port
// that the env file names already, else the first free one.
func listenDev(ctx context.Context, o devOptions, usual string) (net.Listener, error) {
	var config net.ListenConfig
	if o.httpGiven {
		listener, err := config.Listen(ctx, "tcp", o.HTTP)
		if isBusy(err) {
			return nil, &Error{
				Code: ExitFailed, Err: fmt.Errorf("%s is busy: another program listens there", o.HTTP),
				Hint: "Name another address with --http, or none: then the next free port is taken.",
			}
		}
		return listener, err
	}
	ports := make([]string, 0, devPortTries+1)
	if usual != "" {
		ports = append(ports, usual)
	}
	for i := range devPortTries {
		ports = append(ports, strconv.Itoa(devPort+i))
	}
	for _, port := range ports {
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(devHost, port))
		if err == nil || !isBusy(err) {
			return listener, err
		}
	}
	return nil, &Error{
		Code: ExitFailed, Err: fmt.Errorf("the ports from %d to %d are all busy", devPort, devPort+devPortTries-1),
		Hint: "Name a free address with --http.",
	}
}

// wsaEADDRINUSE is what a busy address is called on Windows.
const wsaEADDRINUSE = syscall.Errno(10048)

func isBusy(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, wsaEADDRINUSE)
}

// localAddress turns the address that is listened at into one to open.
func localAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = devHost
	}
	return net.JoinHostPort(host, port)
}

// downPage answers in the place of a server that does not run, until stop is called.
func downPage(file *os.File, problem string) (stop func(), err error) {
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	down := apierr.New(http.StatusServiceUnavailable, "project_down", "The local project does not run: "+problem).WithRetryAfter(time.Second)
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Expose-Headers", "Retry-After, "+routes.HeaderForwarded)
			w.Header().Set(routes.HeaderForwarded, "false") // no handler has seen it: whoever asked may do so again
			_ = apierr.Write(w, r, down)                    // the client may be gone
		}),
	}
	go func() { _ = server.Serve(listener) }() // ends with Close, and only so
	return func() { _ = server.Close() }, nil
}
