package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
)

const (
	startTimeout = 2 * time.Minute
	pollPeriod   = 50 * time.Millisecond
)

// serve starts etcd, the API server and the controllers, announces them, and
// waits for the end. What starts later stops earlier: etcd outlives the API
// server, which outlives the controllers.
func serve(ctx context.Context, opts options, kubeconfig string) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", opts.port))
	if err != nil {
		return err
	}
	config, err := adminConfig("https://" + listener.Addr().String())
	if err != nil {
		return err
	}
	client, restConfig, err := newClient(clientcmd.NewDefaultClientConfig(*config, nil))
	if err != nil {
		return err
	}
	stopEtcd, err := startEtcd(opts.fsync)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer stopEtcd()
	running, stopServer := startAPIServer(ctx, listener)
	defer stopServer()
	if err := waitFor(running, func(ctx context.Context) error { return serverReady(ctx, client) }); err != nil {
		return unlessDone(ctx, fmt.Errorf("kube-apiserver: %w", err))
	}
	controlled, stopControllers := context.WithCancel(running)
	waitControllers, err := startControllers(controlled, restConfig)
	defer waitControllers()
	defer stopControllers()
	if err != nil {
		return fmt.Errorf("controllers: %w", err)
	}
	if err := waitFor(running, func(ctx context.Context) error { return namespaceReady(ctx, client) }); err != nil {
		return unlessDone(ctx, fmt.Errorf("controllers: %w", err))
	}
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return err
	}
	fmt.Println("ready", restConfig.Host, kubeconfig)
	<-running.Done()
	return unlessDone(ctx, context.Cause(running))
}

// newClient returns a client of the API server and what it was made of.
func newClient(config clientcmd.ClientConfig) (kubernetes.Interface, *rest.Config, error) {
	restConfig, err := config.ClientConfig()
	if err != nil {
		return nil, nil, err
	}
	restConfig.QPS = -1 // the API server's own fairness is enough
	client, err := kubernetes.NewForConfig(restConfig)
	return client, restConfig, err
}

// startAPIServer serves the API on listener. The context it returns ends with
// ctx or when the server stops by itself; stop ends the server and waits for it.
func startAPIServer(ctx context.Context, listener net.Listener) (running context.Context, stop func()) {
	running, fail := context.WithCancelCause(ctx)
	serverCtx, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	var server sync.WaitGroup
	server.Go(func() {
		fail(errors.Join(errors.New("kube-apiserver stopped"), runAPIServer(serverCtx, listener)))
	})
	return running, func() { stopServer(); server.Wait() }
}

// waitFor polls check until it succeeds, ctx ends or startTimeout passes.
func waitFor(ctx context.Context, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollPeriod, startTimeout, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err == nil {
		return nil
	}
	return errors.Join(context.Cause(ctx), err, last)
}

// unlessDone drops err if ctx has ended: a stop was asked for.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func serverReady(ctx context.Context, client kubernetes.Interface) error {
	return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// namespaceReady checks for what clients find in the namespace of any cluster:
// /readyz turns true before the namespace "default" exists.
func namespaceReady(ctx context.Context, client kubernetes.Interface) error {
	core := client.CoreV1()
	if _, err := core.ConfigMaps(metav1.NamespaceDefault).Get(ctx, rootcacertpublisher.RootCACertConfigMapName, metav1.GetOptions{}); err != nil {
		return err
	}
	_, err := core.ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}
