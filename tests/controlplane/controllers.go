package main

import (
	"context"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

const (
	workers = 5
	resync  = 12 * time.Hour

	// discoveryPeriod bounds how long the garbage collector takes to see a
	// new custom resource. The controller manager's 30 s is long for a test.
	discoveryPeriod = time.Second

	// namespaceResync is the controller manager's default.
	namespaceResync = 5 * time.Minute

	// maxEndpointsPerSlice is the controller manager's default.
	maxEndpointsPerSlice = 100
)

// controllerSet is the part of the kube-controller-manager that matters
// without nodes.
type controllerSet struct {
	ctx        context.Context
	client     kubernetes.Interface
	metadata   metadata.Interface
	typed      informers.SharedInformerFactory
	byMetadata metadatainformer.SharedInformerFactory
	started    chan struct{}
	running    sync.WaitGroup
}

// startControllers runs the controllers until ctx ends. The function it
// returns waits for their end, also after an error.
func startControllers(ctx context.Context, config *rest.Config) (wait func(), err error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return func() {}, err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return func() {}, err
	}
	set := &controllerSet{
		ctx:        ctx,
		client:     client,
		metadata:   metadataClient,
		typed:      informers.NewSharedInformerFactory(client, resync),
		byMetadata: metadatainformer.NewSharedInformerFactory(metadataClient, resync),
		started:    make(chan struct{}),
	}
	for _, start := range []func() error{set.startDeletion, set.startIdentity, set.startWorkloads} {
		if err := start(); err != nil {
			return set.running.Wait, err
		}
	}
	set.typed.Start(ctx.Done())
	set.byMetadata.Start(ctx.Done())
	close(set.started)
	return set.running.Wait, nil
}

func (s *controllerSet) start(run func(context.Context, int)) {
	s.running.Go(func() { run(s.ctx, workers) })
}

// startDeletion deletes dependents with their owner and content with its
// namespace.
func (s *controllerSet) startDeletion() error {
	discovery := s.client.Discovery()
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery))
	collector, err := garbagecollector.NewGarbageCollector(s.ctx, s.client, s.metadata, mapper,
		garbagecollector.DefaultIgnoredResources(), informerfactory.NewInformerFactory(s.typed, s.byMetadata), s.started)
	if err != nil {
		return err
	}
	s.start(func(ctx context.Context, workers int) { collector.Run(ctx, workers, discoveryPeriod) })
	s.start(func(ctx context.Context, _ int) { collector.Sync(ctx, discovery, discoveryPeriod) })
	s.start(namespace.NewNamespaceController(s.ctx, s.client, s.metadata, discovery.ServerPreferredNamespacedResources,
		s.typed.Core().V1().Namespaces(), namespaceResync, corev1.FinalizerKubernetes).Run)
	return nil
}

// startIdentity fills each namespace with its service account and the
// authority's certificate, and the aggregated cluster roles with their rules.
func (s *controllerSet) startIdentity() error {
	core := s.typed.Core().V1()
	accounts, err := serviceaccount.NewServiceAccountsController(klog.FromContext(s.ctx), core.ServiceAccounts(), core.Namespaces(),
		s.client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return err
	}
	rootCA, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	publisher, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), s.client, rootCA)
	if err != nil {
		return err
	}
	s.start(accounts.Run)
	s.start(publisher.Run)
	s.start(clusterroleaggregation.NewClusterRoleAggregation(s.typed.Rbac().V1().ClusterRoles(), s.client.RbacV1()).Run)
	return nil
}

// startWorkloads turns Deployments into pods that never leave Pending, and
// Services into EndpointSlices.
func (s *controllerSet) startWorkloads() error {
	core, apps := s.typed.Core().V1(), s.typed.Apps().V1()
	deployments, err := deployment.NewDeploymentController(s.ctx, apps.Deployments(), apps.ReplicaSets(), core.Pods(), s.client)
	if err != nil {
		return err
	}
	s.start(deployments.Run)
	s.start(replicaset.NewReplicaSetController(s.ctx, apps.ReplicaSets(), core.Pods(), s.client, replicaset.BurstReplicas).Run)
	s.start(endpointslice.NewController(s.ctx, core.Pods(), core.Services(), core.Nodes(), s.typed.Discovery().V1().EndpointSlices(),
		maxEndpointsPerSlice, s.client, 0).Run)
	return nil
}
