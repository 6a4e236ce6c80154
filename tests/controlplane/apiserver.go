package main

import (
	"context"
	"net"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const serviceRange = "10.96.0.0/16"

var apiServerFlags = []string{
	"--etcd-servers=" + etcdClientURL,
	"--bind-address=127.0.0.1",
	"--tls-cert-file=" + serverCertFile,
	"--tls-private-key-file=" + serverKeyFile,
	"--client-ca-file=" + caFile,
	"--authorization-mode=RBAC",
	"--allow-privileged",
	"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
	"--service-account-key-file=" + serviceAccountKeyFile,
	"--service-account-signing-key-file=" + serviceAccountKeyFile,
	"--service-cluster-ip-range=" + serviceRange,
	// An Endpoints object may not hold a loopback address.
	"--endpoint-reconciler-type=none",
	// End watches at a stop; without it they hold the stop up for a minute.
	"--shutdown-watch-termination-grace-period=1s",
	"--profiling=false",
}

// runAPIServer serves the Kubernetes API on listener until ctx ends.
func runAPIServer(ctx context.Context, listener net.Listener) error {
	opts := apiserveroptions.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(apiServerFlags); err != nil {
		return err
	}
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := opts.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return apiserver.Run(ctx, completed)
}
