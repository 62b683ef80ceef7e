// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	peers "github.com/adit-go/adit/actors/cluster"
	"github.com/adit-go/adit/actors/socket"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/internal/testpeer"
)

// TestClusterRefuses: a member lets nobody into the ports of the cluster who has no certificate of it, and whoever has
// one does it no harm, whatever he sends.
func TestClusterRefuses(t *testing.T) {
	c := newCluster(t, 2, options{seed: 3})
	m := c.members[0]
	ours := c.ca.Issue(t, "adit-cluster")
	shown := map[string]*tls.Config{
		"a certificate of another CA":           configOf(t, testpeer.NewAuthority(t).Issue(t, "adit-cluster")),
		"no certificate":                        configOf(t, nil),
		"a certificate of the CA, for a server": configOf(t, c.ca.Issue(t, "pacs.example.org")),
		"a certificate that has ended":          configOf(t, c.ca.IssueUntil(t, "adit-cluster", time.Now().Add(-time.Hour))),
	}
	for port, addr := range map[string]string{"messages": m.control.Addr, "data": m.data.Addr} {
		t.Run(port, func(t *testing.T) {
			for name, cfg := range shown {
				t.Run(name, func(t *testing.T) { requireNoTLS(t, addr, cfg) })
			}
			t.Run("no TLS", func(t *testing.T) { requireNoAnswer(t, addr, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) })
			t.Run("TLS 1.2", func(t *testing.T) {
				cfg := configOf(t, ours)
				cfg.MaxVersion = tls.VersionTLS12
				requireNoTLS(t, addr, cfg)
			})
		})
	}
	t.Run("plain gRPC", func(t *testing.T) {
		_, err := dial(t, m, insecure.NewCredentials()).ListProcesses(deadlineOf(t), &remote.ListProcessesRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	})
	member := dial(t, m, credentials.NewTLS(configOf(t, ours)))
	t.Run("calls that panic in the library", func(t *testing.T) {
		_, err := member.ListProcesses(deadlineOf(t), &remote.ListProcessesRequest{Pattern: "."})
		require.Equal(t, codes.Unimplemented, status.Code(err), "%v", err)
		_, err = member.GetProcessDiagnostics(deadlineOf(t), &remote.GetProcessDiagnosticsRequest{
			Pid: actor.NewPID(m.control.Addr, peers.PeerActor),
		})
		require.Equal(t, codes.Unimplemented, status.Code(err), "%v", err)
	})
	t.Run("messages that it does not know", func(t *testing.T) { sendOdd(t, m, member) })
	t.Run("a client of the library", func(t *testing.T) {
		s, err := member.Receive(deadlineOf(t))
		require.NoError(t, err)
		require.NoError(t, s.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{
			ConnectRequest: &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ClientConnection{
				ClientConnection: &remote.ClientConnection{SystemId: "x"},
			}},
		}}))
		_, err = s.Recv()
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	})
	t.Run("objects and files that nobody granted", func(t *testing.T) { bringOdd(t, m, configOf(t, ours)) })
	c.requireWorks()
	require.NotContains(t, m.Stderr.String(), "panic")
}

// configOf is that of somebody who calls with an identity, and believes everybody.
func configOf(t *testing.T, i *testpeer.Identity) *tls.Config {
	t.Helper()
	cfg := &tls.Config{ServerName: "adit-cluster", InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	if i != nil {
		pair, err := tls.X509KeyPair(i.Certificate, i.Key)
		require.NoError(t, err)
		// Whatever CAs the server names.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return cfg
}

func deadlineOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// requireNoTLS checks that a handshake fails; with TLS 1.3 who calls learns that by the first read.
func requireNoTLS(t *testing.T, addr string, cfg *tls.Config) {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer func() { _ = raw.Close() }()
	require.NoError(t, raw.SetDeadline(time.Now().Add(deadline)))
	c := tls.Client(raw, cfg)
	if err = c.Handshake(); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	var refused net.Error
	require.Error(t, err)
	require.False(t, errors.As(err, &refused) && refused.Timeout(), "the connection was not ended")
}

// requireNoAnswer checks that a connection is ended without a word that could be an answer.
func requireNoAnswer(t *testing.T, addr string, said []byte) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(deadline)))
	_, err = c.Write(said)
	require.NoError(t, err)
	answer, err := io.ReadAll(c)
	var waited net.Error
	require.False(t, errors.As(err, &waited) && waited.Timeout(), "the connection was not ended")
	if len(answer) > 0 { // an alert of TLS, and nothing else
		require.Equal(t, byte(21), answer[0], "%q", answer)
		require.Less(t, len(answer), 10, "%q", answer)
	}
}

// dial speaks to the messages' port of a member as the library does.
func dial(t *testing.T, m *member, as credentials.TransportCredentials) remote.RemotingClient {
	t.Helper()
	conn, err := grpc.NewClient(m.control.Addr, grpc.WithTransportCredentials(as))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return remote.NewRemotingClient(conn)
}

// sendOdd sends what no member of this version sends, and sees that the stream goes on.
func sendOdd(t *testing.T, m *member, member remote.RemotingClient) {
	t.Helper()
	s, err := member.Receive(deadlineOf(t))
	require.NoError(t, err)
	here, gone := m.control.Addr, "127.0.0.1:1"
	peer := actor.NewPID(here, peers.PeerActor)
	one := func(typeName string, target *actor.PID, envelopes ...*remote.MessageEnvelope) *remote.MessageBatch {
		if len(envelopes) == 0 {
			envelopes = []*remote.MessageEnvelope{{}}
		}
		return &remote.MessageBatch{TypeNames: []string{typeName}, Targets: []*actor.PID{target}, Envelopes: envelopes}
	}
	const wake, offer = "adit.cluster.Wake", "adit.cluster.Offer"
	require.NoError(t, s.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{
		ConnectRequest: &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{
			ServerConnection: &remote.ServerConnection{SystemId: uuid.NewString(), Address: gone},
		}},
	}}))
	for name, batch := range map[string]*remote.MessageBatch{
		"a message of a later version":     one("adit.cluster.OfALaterVersion", peer),
		"a type that is not there":         one(wake, peer, &remote.MessageEnvelope{TypeId: 7}),
		"a negative type":                  one(wake, peer, &remote.MessageEnvelope{TypeId: -1}),
		"a target that is not there":       one(wake, peer, &remote.MessageEnvelope{Target: 7}),
		"a sender that is not there":       one(wake, peer, &remote.MessageEnvelope{Sender: 7}),
		"another serializer":               one(wake, peer, &remote.MessageEnvelope{SerializerId: 1}),
		"no serializer that there is":      one(wake, peer, &remote.MessageEnvelope{SerializerId: 9}),
		"bytes that are none":              one(offer, peer, &remote.MessageEnvelope{MessageData: []byte{0xff}}),
		"a system message":                 one("actor.Stop", peer),
		"a message that ends":              one("actor.PoisonPill", peer),
		"an order to the supervisor":       one("actor.Stop", actor.NewPID(here, "supervisor")),
		"an order to make an actor":        one("remote.ActorPidRequest", actor.NewPID(here, "activator")),
		"a message for somebody else":      one(wake, actor.NewPID(gone, peers.PeerActor)),
		"the target of nobody":             one(wake, nil),
		"nothing":                          {},
		"no message":                       {Envelopes: []*remote.MessageEnvelope{nil}},
		"an offer of nothing":              one(offer, peer),
		"a message for us, behind unknown": one(wake, peer, &remote.MessageEnvelope{TypeId: 3}, &remote.MessageEnvelope{}),
	} {
		require.NoError(t, s.Send(&remote.RemoteMessage{
			MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: batch},
		}), name)
	}
	require.NoError(t, s.Send(&remote.RemoteMessage{}))
	await(t, "the end of the odd messages", func() bool {
		return strings.Contains(m.Stderr.String(), "were dropped: this version does not know them")
	})
	require.NoError(t, s.CloseSend())
	for err == nil {
		_, err = s.Recv()
	}
	require.ErrorIs(t, err, io.EOF, "the stream ended as it was ended here")
}

// bringOdd brings and asks for what was not granted.
func bringOdd(t *testing.T, m *member, cfg *tls.Config) {
	t.Helper()
	cfg.NextProtos = nil
	s := &socket.Client{TLS: cfg}
	defer s.Close()
	a, err := s.Bring(deadlineOf(t), m.data.Addr, socket.Object{Token: "guessed", SOPInstanceUID: "1.2.3"},
		bytes.NewReader(make([]byte, 1<<20)), func() {})
	require.NoError(t, err)
	require.Equal(t, uint16(dimse.RefusedNotAuthorized), a.Status)
	_, err = s.Open(deadlineOf(t), m.data.Addr, socket.File{Store: uuid.New(), Name: "../../secret.key"})
	require.Error(t, err)
	for name, said := range map[string][]byte{
		"no frame":            []byte("GET / HTTP/1.1\r\n\r\n"),
		"a frame of 4 GB":     {'O', 0xff, 0xff, 0xff, 0xff},
		"data without object": {'D', 0, 0, 0, 1, 0},
		"no JSON":             append([]byte{'O', 0, 0, 0, 4}, "nope"...),
	} {
		c, err := tls.Dial("tcp", m.data.Addr, cfg)
		require.NoError(t, err, name)
		require.NoError(t, c.SetDeadline(time.Now().Add(deadline)))
		_, err = c.Write(said)
		require.NoError(t, err, name)
		answer, err := io.ReadAll(c)
		require.Empty(t, answer, name)
		var waited net.Error
		require.False(t, errors.As(err, &waited) && waited.Timeout(), "%s: the connection was not ended", name)
		_ = c.Close()
	}
}

// requireWorks has instances cross from one member to another.
func (c *cluster) requireWorks() {
	c.t.Helper()
	studies := newStudies(3000, 12, 1, 2)
	source := c.newPACS(pacs.Config{AETitle: "SRC", Studies: studies})
	destination := c.newPACS(pacs.Config{AETitle: "DST"})
	c.addServer("SRC", source.Addr(), byMove, func(s *client.ServerSettings) { s.BatchCap = new(12) })
	c.addServer("DST", destination.Addr(), byGet, func(s *client.ServerSettings) { s.BatchCap = new(12) })
	c.requireSuccess([]client.Job{c.transfer(c.members[0], "src", "dst", studies)}, studies)
	require.Zero(c.t, requireStored(c.t, destination, studies))
	c.requireCrossed(1)
}
