// Command controlplane runs a real Kubernetes control plane in one process,
// for demos and tests on a machine with no cluster and no container engine: a
// stock kube-apiserver, the etcd it stores to, and the few controllers that
// API clients rely on. There are no nodes, so pods stay Pending.
//
// Once it serves, it prints one line: ready URL KUBECONFIG.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// parentPeriod bounds how long the process outlives its parent.
const parentPeriod = 500 * time.Millisecond

var errParentGone = errors.New("the parent process is gone")

// options are what the command line sets.
type options struct {
	dataDir       string
	port          int
	kubeconfig    string
	fsync         bool
	dieWithParent bool
}

func main() {
	opts := parseOptions()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if opts.dieWithParent {
		ctx = withParent(ctx)
	}
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func parseOptions() options {
	var opts options
	flag.StringVar(&opts.dataDir, "data-dir", "controlplane-data", "directory for certificates and objects, reused by later starts")
	flag.IntVar(&opts.port, "port", 0, "loopback port of the API server (0: any free one)")
	flag.StringVar(&opts.kubeconfig, "kubeconfig-out", "", "file to write the administrator's kubeconfig to (default DATA-DIR/kubeconfig)")
	flag.BoolVar(&opts.fsync, "fsync", false, "flush every write to disk, to survive a power cut")
	flag.BoolVar(&opts.dieWithParent, "die-with-parent", false, "stop when the process that started this one is gone")
	klog.InitFlags(nil)
	flag.Parse()
	return opts
}

// withParent returns a context that ends with ctx or with the parent process.
// It polls, because no signal for this exists on every system.
func withParent(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	parent := os.Getppid()
	go func() {
		for range time.Tick(parentPeriod) {
			if os.Getppid() != parent {
				cancel(errParentGone)
				return
			}
		}
	}()
	return ctx
}

// run serves until ctx ends or the API server fails.
func run(ctx context.Context, opts options) error {
	kubeconfig, err := prepare(opts)
	if err != nil {
		return err
	}
	lock, err := lockDirectory(opts.dataDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := ensurePKI(); err != nil {
		return fmt.Errorf("certificates in %s: %w", opts.dataDir, err)
	}
	return serve(ctx, opts, kubeconfig)
}

// prepare makes the data directory the working directory and returns the
// absolute path of the kubeconfig to write.
func prepare(opts options) (string, error) {
	kubeconfig := opts.kubeconfig
	if kubeconfig == "" {
		kubeconfig = filepath.Join(opts.dataDir, "kubeconfig")
	}
	kubeconfig, err := filepath.Abs(kubeconfig)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(opts.dataDir, 0o700); err != nil {
		return "", err
	}
	return kubeconfig, os.Chdir(opts.dataDir)
}

// lockDirectory claims the working directory: two processes on one etcd
// directory would hang for good.
func lockDirectory(name string) (*os.File, error) {
	lock, err := os.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("data directory %s is in use by another control plane: stop that one or name another directory: %w", name, err)
	}
	return lock, nil
}
