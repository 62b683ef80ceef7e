// SPDX-License-Identifier: AGPL-3.0-or-later

// Package cluster lets members of a cluster talk to each other: their certificates, and Proto.Actor's remote between
// them, hardened. Who is a member is in the database. See DESIGN.md.
package cluster

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	grpctls "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"
)

// PeerActor is the name of the actor of a member that other members talk to. No other is reached from outside.
const PeerActor = "peer"

const (
	keepaliveAfter   = 10 * time.Second // a frozen peer is noticed by nothing else
	keepaliveTimeout = 5 * time.Second
	keepaliveLeast   = 5 * time.Second // between two that a peer may send
	connectTimeout   = 3 * time.Second
	retryPause       = 500 * time.Millisecond
	mostRetryPause   = 5 * time.Second

	queued       = 1024     // messages to a peer
	batch        = 64       // of them, sent as one
	largestBatch = 32 << 10 // bytes, for messages of ours; see DESIGN.md
	largestRead  = 1 << 20  // bytes, of what a peer sends
)

// Remote is the way to the actors of other members.
type Remote struct {
	system *actor.ActorSystem
	remote *remote.Remote
}

// Config of a remote. All of it is required.
type Config struct {
	Listen       string // host:port
	Advertise    string // host:port under which others reach it
	Certificates *Certificates
	Log          *slog.Logger
}

// Start opens the way, before any actor of the system is made.
func Start(system *actor.ActorSystem, cfg Config) (r *Remote, err error) {
	host, portText, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", portText, err)
	}
	defer func() { // the library knows no other way to say that the port is in use
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("%v", p)
		}
	}()
	guard := &guard{log: cfg.Log, address: cfg.Advertise}
	config := remote.Configure(host, port,
		remote.WithAdvertisedHost(cfg.Advertise),
		remote.WithServerOptions(
			grpc.Creds(grpctls.NewTLS(cfg.Certificates.ServerTLS())),
			grpc.UnaryInterceptor(guard.unary), grpc.StreamInterceptor(guard.stream),
			grpc.MaxRecvMsgSize(largestRead), grpc.MaxConcurrentStreams(8), grpc.ConnectionTimeout(connectTimeout),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveAfter, Timeout: keepaliveTimeout}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
				MinTime: keepaliveLeast, PermitWithoutStream: true,
			}),
		),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(grpctls.NewTLS(cfg.Certificates.ClientTLS())),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{
				Time: keepaliveAfter, Timeout: keepaliveTimeout, PermitWithoutStream: true,
			}),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: retryPause, Multiplier: 2, MaxDelay: mostRetryPause},
				MinConnectTimeout: connectTimeout,
			}),
			grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		),
		remote.WithEndpointWriterQueueSize(queued), remote.WithEndpointWriterBatchSize(batch),
		remote.WithEndpointManagerQueueSize(queued), remote.WithEndpointManagerBatchSize(batch),
	)
	config.MaxRetryCount = 1 // each further one leaks
	if config.Host == "" {
		config.Host = "[::]"
	} else if net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil {
		config.Host = "[" + host + "]"
	}
	r = &Remote{system: system, remote: remote.NewRemote(system, config)}
	r.remote.Start()
	return r, nil
}

// Close refuses everybody from now on. Messages on their way are lost.
func (r *Remote) Close() { r.remote.Shutdown(false) }

// Tell sends a message to the member at an address. It may be lost.
func (r *Remote) Tell(address string, m proto.Message) {
	r.system.Root.Send(actor.NewPID(address, PeerActor), m)
}

// Ask sends a message to the member at an address, and waits for the answer.
func (r *Remote) Ask(address string, m proto.Message, patience time.Duration) (any, error) {
	answer, err := r.system.Root.RequestFuture(actor.NewPID(address, PeerActor), m, patience).Result()
	if err != nil {
		return nil, fmt.Errorf("the member at %s does not answer: %w", address, err)
	}
	return answer, nil
}
