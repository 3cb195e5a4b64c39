package main

import (
	"flag"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

// runEtcd serves a single member. It takes those flags of the real etcd that the tests use, by the same names, so that
// a real etcd (KUBEBUILDER_ASSETS) can take its place.
func runEtcd(arguments []string) {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	dataDir := flags.String("data-dir", "", "folder of the database")
	clientURL := flags.String("listen-client-urls", "", "URL that clients connect to")
	flags.String("advertise-client-urls", "", "taken to be the same as listen-client-urls")
	peerURL := flags.String("listen-peer-urls", "", "URL for other members, of which there are none")
	noFsync := flags.Bool("unsafe-no-fsync", false, "do not wait for the disk: for data that nobody needs after a crash")
	_ = flags.Parse(arguments)

	config := embed.NewConfig()
	config.Dir = *dataDir
	config.UnsafeNoFsync = *noFsync
	config.LogLevel = "warn"
	config.ListenClientUrls = []url.URL{parse(*clientURL)}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = []url.URL{parse(*peerURL)}
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	server, err := embed.StartEtcd(config)
	if err != nil {
		fail(err.Error())
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	select {
	case <-stop:
		server.Close()
	case err := <-server.Err():
		fail(err.Error())
	}
}

func parse(address string) url.URL {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		fail("not a URL: " + address)
	}
	return *parsed
}
