package cli

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
)

// openBrowser shows a web page to the person at this machine. It does not wait.
func openBrowser(ctx context.Context, address string) error {
	address, err := pageURL(address)
	if err != nil {
		return err
	}
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	// The browser stays when this command ends.
	command := exec.CommandContext(context.WithoutCancel(ctx), name, args...) //nolint:gosec // a checked web address
	if err := command.Start(); err != nil {
		return err
	}
	return command.Process.Release()
}

// pageURL lets only web addresses through: what a server names must not open a file or
// start a program.
func pageURL(address string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return "", fmt.Errorf("%q is no web page", address)
	}
	return parsed.String(), nil
}
