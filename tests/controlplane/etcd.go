package main

import (
	"errors"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// The sockets of etcd are files in the data directory, which is the working
// directory: an absolute path could exceed the length limit of a socket
// address. etcd insists on the form of a host and a port.
const (
	etcdClientURL = "unix://etcd-client:0"
	etcdPeerURL   = "unix://etcd-peer:0"
)

// walSegment is preallocated twice; the default is 64 MiB.
const walSegment = 4 << 20

// startEtcd starts a single-member etcd on Unix sockets in the working
// directory and returns the function that stops it.
func startEtcd(fsync bool) (stop func(), err error) {
	wal.SegmentSizeBytes = walSegment
	server, err := embed.StartEtcd(etcdConfig(fsync))
	if err != nil {
		return nil, err
	}
	select {
	case <-server.Server.ReadyNotify():
		return server.Close, nil
	case err = <-server.Err():
	case <-time.After(startTimeout):
		err = errors.New("not ready in time")
	}
	server.Close()
	return nil, err
}

func etcdConfig(fsync bool) *embed.Config {
	client, peer := mustParseURL(etcdClientURL), mustParseURL(etcdPeerURL)
	config := embed.NewConfig()
	config.Dir = "etcd"
	config.LogLevel = "panic" // what fails is returned; a stop logs errors of its own
	config.UnsafeNoFsync = !fsync
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	return config
}

func mustParseURL(text string) url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return *parsed
}
