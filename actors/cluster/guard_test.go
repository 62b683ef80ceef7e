// SPDX-License-Identifier: AGPL-3.0-or-later

package cluster

import (
	"log/slog"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

const here = "here:7201"

// batchOf is a batch of one message, as the library sends it, that a test may spoil.
func batchOf(t testing.TB, m proto.Message, spoil func(*remote.MessageBatch)) *remote.MessageBatch {
	t.Helper()
	data, err := proto.Marshal(m)
	require.NoError(t, err)
	b := &remote.MessageBatch{
		TypeNames: []string{string(proto.MessageName(m))},
		Targets:   []*actor.PID{actor.NewPID(here, PeerActor)},
		Senders:   []*actor.PID{actor.NewPID("there:7201", "future$1")},
		Envelopes: []*remote.MessageEnvelope{{MessageData: data, Sender: 1}},
	}
	if spoil != nil {
		spoil(b)
	}
	return b
}

// TestGuard: of what another member sends only our own messages, well-formed and for our peer actor or an answer that
// is waited for, reach the library.
func TestGuard(t *testing.T) {
	for name, tt := range map[string]struct {
		message proto.Message
		spoil   func(*remote.MessageBatch)
		passes  bool
	}{
		"a hint":                  {&Wake{}, nil, true},
		"a question":              {&Offer{SopInstanceUid: "1.2"}, nil, true},
		"an answer":               {&Grant{Token: "t"}, func(b *remote.MessageBatch) { b.Targets[0].Id = "future$a" }, true},
		"nobody is left":          {&actor.DeadLetterResponse{Target: actor.NewPID(here, "gone")}, nil, true},
		"without a sender":        {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 0 }, true},
		"stops an actor":          {&actor.PoisonPill{}, nil, false},
		"watches an actor":        {&actor.Watch{}, nil, false},
		"makes an actor":          {&remote.ActorPidRequest{Kind: "x"}, nil, false},
		"an unknown type":         {&Wake{}, func(b *remote.MessageBatch) { b.TypeNames[0] = "adit.cluster.Newer" }, false},
		"another serializer":      {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 1 }, false},
		"a serializer below zero": {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = -1 }, false},
		"no such type index":      {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = 1 }, false},
		"a type below zero":       {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = -1 }, false},
		"no such target":          {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].Target = 9 }, false},
		"no such sender":          {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 2 }, false},
		"a sender below zero":     {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0].Sender = -1 }, false},
		"no target":               {&Wake{}, func(b *remote.MessageBatch) { b.Targets[0] = nil }, false},
		"no sender":               {&Wake{}, func(b *remote.MessageBatch) { b.Senders[0] = nil }, false},
		"no envelope":             {&Wake{}, func(b *remote.MessageBatch) { b.Envelopes[0] = nil }, false},
		"for the supervisor":      {&Wake{}, func(b *remote.MessageBatch) { b.Targets[0].Id = "supervisor" }, false},
		"for another member":      {&Wake{}, func(b *remote.MessageBatch) { b.Targets[0].Address = "there:7201" }, false},
		"damaged":                 {&Cancel{}, func(b *remote.MessageBatch) { b.Envelopes[0].MessageData = []byte{0xff} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guard{log: slog.New(slog.DiscardHandler), address: here}
			b := batchOf(t, tt.message, tt.spoil)
			g.sift(b)
			require.Equal(t, tt.passes, len(b.GetEnvelopes()) == 1)
			require.Equal(t, !tt.passes, g.dropped.Load() == 1)
		})
	}
}

// FuzzGuard: whatever a batch holds, what passes can be read as the library reads it.
func FuzzGuard(f *testing.F) {
	for _, m := range []proto.Message{&Wake{}, &Offer{SopInstanceUid: "1.2", Servers: []int64{1}}, &actor.PoisonPill{}} {
		whole, err := proto.Marshal(batchOf(f, m, nil))
		require.NoError(f, err)
		f.Add(whole)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		b := &remote.MessageBatch{}
		if proto.Unmarshal(sent, b) != nil {
			return
		}
		(&guard{log: slog.New(slog.DiscardHandler), address: here}).sift(b)
		for _, e := range b.GetEnvelopes() {
			require.Equal(t, here, b.GetTargets()[e.GetTarget()].GetAddress())
			if e.GetSender() > 0 {
				require.NotNil(t, b.GetSenders()[e.GetSender()-1])
			}
			_, err := remote.Deserialize(e.GetMessageData(), b.GetTypeNames()[e.GetTypeId()], e.GetSerializerId())
			require.NoError(t, err)
		}
	})
}
