// SPDX-License-Identifier: AGPL-3.0-or-later

package cluster

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// guard stands before the library's server. The library takes what a peer sends at its word: an unknown type of
// message, an index beyond a list, or a call that it does not implement ends the process, and a system message stops
// any actor. So only well-formed batches pass, and of them only messages that are meant for us.
type guard struct {
	log     *slog.Logger
	address string // ours: nothing is passed on to others
	dropped atomic.Int64
}

// unary refuses ListProcesses and GetProcessDiagnostics, which panic in the library.
func (g *guard) unary(
	_ context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler,
) (any, error) {
	return nil, status.Errorf(codes.Unimplemented, "%s is not served", info.FullMethod)
}

func (g *guard) stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, &guarded{ServerStream: s, guard: g})
}

// guarded is a stream of which the library reads only what is harmless.
type guarded struct {
	grpc.ServerStream
	guard *guard
}

// RecvMsg implements grpc.ServerStream.
func (s *guarded) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	message, ok := m.(*remote.RemoteMessage)
	if !ok {
		return status.Error(codes.InvalidArgument, "not a message between members")
	}
	switch kind := message.GetMessageType().(type) {
	case *remote.RemoteMessage_MessageBatch:
		if kind.MessageBatch == nil {
			kind.MessageBatch = &remote.MessageBatch{}
		}
		if n := len(kind.MessageBatch.GetEnvelopes()); n > batch {
			return status.Errorf(codes.ResourceExhausted, "%d messages at once; a member sends %d", n, batch)
		}
		s.guard.sift(kind.MessageBatch)
	case *remote.RemoteMessage_ConnectRequest:
		if _, server := kind.ConnectRequest.GetConnectionType().(*remote.ConnectRequest_ServerConnection); !server {
			return status.Error(codes.InvalidArgument, "only members connect here")
		}
	default:
		message.MessageType = &remote.RemoteMessage_MessageBatch{MessageBatch: &remote.MessageBatch{}}
	}
	return nil
}

// known are the messages that a member takes from another one; DeadLetterResponse is the answer to a question that
// nobody is left to answer.
var known = sync.OnceValue(func() map[string]proto.Message {
	all := map[string]proto.Message{}
	for _, m := range []proto.Message{
		&Expect{}, &Forget{}, &Offer{}, &Grant{}, &Wake{}, &Cancel{}, &Steer{}, &ServersChanged{},
		&actor.DeadLetterResponse{},
	} {
		all[string(m.ProtoReflect().Descriptor().FullName())] = m
	}
	return all
})

// sift takes out of a batch whatever is not for us or not well-formed.
func (g *guard) sift(b *remote.MessageBatch) {
	kept := b.GetEnvelopes()[:0]
	for _, e := range b.GetEnvelopes() {
		if g.fits(b, e) {
			kept = append(kept, e)
			continue
		}
		if n := g.dropped.Add(1); n&(n-1) == 0 { // the 1st, 2nd, 4th …: a peer may send any number
			g.log.Warn("messages of another member were dropped: this version does not know them", "dropped", n)
		}
	}
	b.Envelopes = kept
}

func (g *guard) fits(b *remote.MessageBatch, e *remote.MessageEnvelope) bool {
	if e == nil || e.GetSerializerId() != 0 || !within(e.GetTypeId(), len(b.GetTypeNames())) ||
		!within(e.GetTarget(), len(b.GetTargets())) || e.GetSender() != 0 && !within(e.GetSender()-1, len(b.GetSenders())) {
		return false
	}
	target := b.GetTargets()[e.GetTarget()]
	if target == nil || target.GetAddress() != g.address ||
		target.GetId() != PeerActor && !strings.HasPrefix(target.GetId(), "future") ||
		e.GetSender() != 0 && b.GetSenders()[e.GetSender()-1] == nil {
		return false
	}
	m, ok := known()[b.GetTypeNames()[e.GetTypeId()]]
	return ok && proto.Unmarshal(e.GetMessageData(), m.ProtoReflect().New().Interface()) == nil
}

func within(i int32, n int) bool { return i >= 0 && int(i) < n }
