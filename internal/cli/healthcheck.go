package cli

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// NewHealthcheck returns the command that a container's health check runs: an
// image without a shell has no other way to ask.
func NewHealthcheck() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a server on this machine whether it is ready",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return checkHealth(cmd.Context(), url)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "the server, or unix:/path of its socket (default http://127.0.0.1:$PORT, or port 8090)")
	return cmd
}

func checkHealth(ctx context.Context, url string) error {
	if url == "" {
		port := os.Getenv("PORT")
		if port == "" {
			port = "8090"
		}
		url = "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	client, err := NewClient(url, "", nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return client.Call(ctx, http.MethodGet, "/api/v1/ready", nil, nil)
}
