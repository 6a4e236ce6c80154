// Command ociregistry serves an OCI distribution registry with the referrers
// API on loopback, for demos and tests. Blobs stay on disk; manifests do not,
// so images are pushed again after a restart, which then sends no blob twice.
//
// Once it serves, it prints one line: ready URL.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

const (
	headerTimeout = 10 * time.Second
	stopTimeout   = 2 * time.Second
)

func main() {
	port := flag.Int("port", 0, "loopback port (0: any free one)")
	blobs := flag.String("data-dir", "", "directory that keeps blobs (default: memory)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *port, *blobs); err != nil {
		fmt.Fprintln(os.Stderr, "ociregistry:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends or the server fails.
func run(ctx context.Context, port int, blobs string) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	handler, err := newHandler(blobs)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	fmt.Println("ready", "http://"+listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newHandler(blobs string) (http.Handler, error) {
	options := []registry.Option{
		registry.WithReferrersSupport(true),
		registry.Logger(log.New(os.Stderr, "", log.LstdFlags)),
	}
	if blobs != "" {
		if err := os.MkdirAll(blobs, 0o700); err != nil {
			return nil, err
		}
		options = append(options, registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)))
	}
	return registry.New(options...), nil
}
